//! The crate from outside: judgements of chains, handshakes over connections in memory, measures.

#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod judgement;
#[cfg(test)]
mod measures;
#[cfg(test)]
mod world;
