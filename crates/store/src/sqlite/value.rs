//! What a column holds, and the types of Rust that go into it and come out of it.

use super::Sqlite;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Decode, Encode, Type};
use std::borrow::Cow;
use std::fmt;

/// One value of a row, or for a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// UTF-8, unless somebody else wrote it: that is looked at when it is taken for a text.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

/// The storage classes of SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Null,
    Integer,
    Real,
    Text,
    Blob,
}

impl Cell {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Null => Class::Null,
            Self::Integer(_) => Class::Integer,
            Self::Real(_) => Class::Real,
            Self::Text(_) => Class::Text,
            Self::Blob(_) => Class::Blob,
        }
    }
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(octets) => Self::Text(octets.to_owned()),
            ValueRef::Blob(octets) => Self::Blob(octets.to_owned()),
        }
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(octets) => ValueRef::Blob(octets),
        }))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(sqlx::TypeInfo::name(self))
    }
}

impl sqlx::TypeInfo for Class {
    fn is_null(&self) -> bool {
        *self == Self::Null
    }

    fn name(&self) -> &str {
        match self {
            Self::Null => "NULL",
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Text => "TEXT",
            Self::Blob => "BLOB",
        }
    }
}

impl sqlx::Value for Cell {
    type Database = Sqlite;

    fn as_ref(&self) -> &Cell {
        self
    }

    fn type_info(&self) -> Cow<'_, Class> {
        Cow::Owned(self.class())
    }

    fn is_null(&self) -> bool {
        *self == Self::Null
    }
}

impl<'r> sqlx::ValueRef<'r> for &'r Cell {
    type Database = Sqlite;

    fn to_owned(&self) -> Cell {
        (*self).clone()
    }

    fn type_info(&self) -> Cow<'_, Class> {
        Cow::Owned(self.class())
    }

    fn is_null(&self) -> bool {
        **self == Cell::Null
    }
}

/// A value of another class than the one asked for.
fn unlike(cell: &Cell, wanted: Class) -> BoxDynError {
    format!("{} where {wanted} was expected", cell.class()).into()
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Type<Sqlite> for $integer {
            fn type_info() -> Class {
                Class::Integer
            }
        }

        impl Encode<'_, Sqlite> for $integer {
            fn encode_by_ref(&self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
                cells.push(Cell::Integer(i64::from(*self)));
                Ok(IsNull::No)
            }
        }

        impl Decode<'_, Sqlite> for $integer {
            fn decode(cell: &Cell) -> Result<Self, BoxDynError> {
                match cell {
                    Cell::Integer(number) => Ok(Self::try_from(*number)?),
                    other => Err(unlike(other, Class::Integer)),
                }
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32);

impl Type<Sqlite> for bool {
    fn type_info() -> Class {
        Class::Integer
    }
}

impl Encode<'_, Sqlite> for bool {
    fn encode_by_ref(&self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        cells.push(Cell::Integer(i64::from(*self)));
        Ok(IsNull::No)
    }
}

impl Decode<'_, Sqlite> for bool {
    fn decode(cell: &Cell) -> Result<Self, BoxDynError> {
        match cell {
            Cell::Integer(number) => Ok(*number != 0),
            other => Err(unlike(other, Class::Integer)),
        }
    }
}

impl Type<Sqlite> for f64 {
    fn type_info() -> Class {
        Class::Real
    }

    fn compatible(class: &Class) -> bool {
        matches!(class, Class::Real | Class::Integer)
    }
}

impl Encode<'_, Sqlite> for f64 {
    fn encode_by_ref(&self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        cells.push(Cell::Real(*self));
        Ok(IsNull::No)
    }
}

impl Decode<'_, Sqlite> for f64 {
    #[expect(clippy::cast_precision_loss, reason = "as SQLite itself converts")]
    fn decode(cell: &Cell) -> Result<Self, BoxDynError> {
        match cell {
            Cell::Real(number) => Ok(*number),
            Cell::Integer(number) => Ok(*number as Self),
            other => Err(unlike(other, Class::Real)),
        }
    }
}

impl Type<Sqlite> for str {
    fn type_info() -> Class {
        Class::Text
    }
}

impl Encode<'_, Sqlite> for &str {
    fn encode_by_ref(&self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        cells.push(Cell::Text(self.as_bytes().to_owned()));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Sqlite> for &'r str {
    fn decode(cell: &'r Cell) -> Result<Self, BoxDynError> {
        match cell {
            Cell::Text(text) => Ok(std::str::from_utf8(text)?),
            other => Err(unlike(other, Class::Text)),
        }
    }
}

impl Type<Sqlite> for String {
    fn type_info() -> Class {
        Class::Text
    }
}

impl Encode<'_, Sqlite> for String {
    fn encode(self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        cells.push(Cell::Text(self.into_bytes()));
        Ok(IsNull::No)
    }

    fn encode_by_ref(&self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        cells.push(Cell::Text(self.as_bytes().to_owned()));
        Ok(IsNull::No)
    }
}

impl Decode<'_, Sqlite> for String {
    fn decode(cell: &Cell) -> Result<Self, BoxDynError> {
        <&str as Decode<'_, Sqlite>>::decode(cell).map(str::to_owned)
    }
}

/// Octets may lie in a column of text, as texts may not in one of octets.
fn holds_octets(class: &Class) -> bool {
    matches!(class, Class::Blob | Class::Text)
}

impl Type<Sqlite> for [u8] {
    fn type_info() -> Class {
        Class::Blob
    }

    fn compatible(class: &Class) -> bool {
        holds_octets(class)
    }
}

impl Encode<'_, Sqlite> for &[u8] {
    fn encode_by_ref(&self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        cells.push(Cell::Blob((*self).to_owned()));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Sqlite> for &'r [u8] {
    fn decode(cell: &'r Cell) -> Result<Self, BoxDynError> {
        match cell {
            Cell::Blob(octets) | Cell::Text(octets) => Ok(octets),
            other => Err(unlike(other, Class::Blob)),
        }
    }
}

impl Type<Sqlite> for Vec<u8> {
    fn type_info() -> Class {
        Class::Blob
    }

    fn compatible(class: &Class) -> bool {
        holds_octets(class)
    }
}

impl Encode<'_, Sqlite> for Vec<u8> {
    fn encode(self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        cells.push(Cell::Blob(self));
        Ok(IsNull::No)
    }

    fn encode_by_ref(&self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        cells.push(Cell::Blob(self.clone()));
        Ok(IsNull::No)
    }
}

impl Decode<'_, Sqlite> for Vec<u8> {
    fn decode(cell: &Cell) -> Result<Self, BoxDynError> {
        <&[u8] as Decode<'_, Sqlite>>::decode(cell).map(<[u8]>::to_vec)
    }
}

impl<'q, T> Encode<'q, Sqlite> for Option<T>
where
    T: Encode<'q, Sqlite> + Type<Sqlite> + 'q,
{
    fn encode(self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        self.map_or(Ok(IsNull::Yes), |value| value.encode(cells))
    }

    fn encode_by_ref(&self, cells: &mut Vec<Cell>) -> Result<IsNull, BoxDynError> {
        self.as_ref().map_or(Ok(IsNull::Yes), |value| value.encode_by_ref(cells))
    }
}
