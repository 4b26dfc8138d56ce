//! Bounds on what a client may make the server hold.

/// RFC 7888 §5
const NON_SYNCHRONISING_MAX: u64 = 4096;

/// Bounds of a [`super::Decoder`], in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Text of one command, its literals and line ends not counted. An AUTHENTICATE line may have
    /// [`crate::sasl::LINE_MAX`] if that is more.
    pub line_max: usize,
    /// One literal that comes without waiting for `+ `, the message of an APPEND included (RFC 7888 §5, LITERAL-). A larger one is BAD, and
    /// read and thrown away. `u64::MAX` is LITERAL+ (§3): such a literal is bounded as one that waits.
    pub non_synchronising_max: u64,
    /// One literal of a command. The message of an APPEND is not bounded here: the edge decides from its size.
    pub literal_max: u64,
    /// All literals of one command together, APPEND's message not counted.
    pub literals_max: u64,
    /// What is read and thrown away to stay in step with a client that sends what was refused. Past it, the connection ends.
    pub discard_max: u64,
}

impl Limits {
    /// For a client that has not logged in.
    pub const fn before_login() -> Self {
        Self {
            line_max: 8 << 10,
            non_synchronising_max: NON_SYNCHRONISING_MAX,
            literal_max: 8 << 10,
            literals_max: 64 << 10,
            discard_max: 64 << 10,
        }
    }

    /// For a client that has.
    pub const fn authenticated() -> Self {
        Self {
            line_max: 64 << 10,
            non_synchronising_max: u64::MAX,
            literal_max: 1 << 20,
            literals_max: 1 << 20,
            discard_max: 64 << 20,
        }
    }
}
