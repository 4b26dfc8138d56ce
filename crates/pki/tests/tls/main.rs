//! The crate from outside: judgements of chains, handshakes over connections in memory.

#[cfg(test)]
mod access;
#[cfg(test)]
mod files;
#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod judgement;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod openssl;
#[cfg(test)]
mod world;
