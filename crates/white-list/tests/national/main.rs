//! The national list against lists that Debian's xmlsec1 signed.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod damage;
#[cfg(test)]
#[path = "../../../../tests/src/national_list.rs"]
#[expect(unreachable_pub, reason = "shared with the scenarios")]
mod national_list;
#[cfg(test)]
mod signed;
#[cfg(test)]
mod signers;
#[cfg(test)]
mod world;
