//! The national list against lists that Debian's xmlsec1 signed.

#[path = "../../../../tests/src/national_list.rs"]
#[expect(unreachable_pub, reason = "shared with the scenarios")]
mod national_list;
mod signed;
mod world;
