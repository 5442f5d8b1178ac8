//! The tree as a `serde` deserializer that tracks the path of every error.

use std::cell::Cell;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

use crate::TAG;
use crate::error::{Fault, Names, ReadError};
use crate::value::{Node, Value};

static STAND_IN: Value = Value::StandIn;
static STAND_IN_TAG: Value = Value::StandInTag;

/// Reads a value; every error below comes with its path.
pub(crate) fn read<'de, S: DeserializeSeed<'de>>(
    seed: S,
    value: &Value,
) -> Result<S::Value, ReadError> {
    let buffered = Cell::new(false);
    seed.deserialize(Reader {
        value,
        buffered: &buffered,
    })
    .map_err(|error| {
        if buffered.get() {
            error.out_of_buffer()
        } else {
            error
        }
    })
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Reader<'a> {
    value: &'a Value,
    /// Set once the value has gone into a buffer of the type that reads it.
    buffered: &'a Cell<bool>,
}

impl<'a> Reader<'a> {
    /// Gives the visitor what is there.
    fn give<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_i64(number),
                (_, Ok(number)) => visitor.visit_u64(number),
                _ => Err(Error::invalid_type(
                    Unexpected::Other(&number.to_string()),
                    &visitor,
                )),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::Array(nodes) => visitor.visit_seq(Elements::new(nodes.iter().map(inner))),
            Value::Table(_) => visitor.visit_map(Entries::new(self.entries())),
            Value::Unreadable(words) => {
                Err(Error::invalid_type(Unexpected::Other(words), &visitor))
            }
            Value::StandIn | Value::StandInTag | Value::Absent => {
                Err(ReadError::new(Fault::NeedsType))
            }
        }
    }

    /// Lists the entries of a table that are not absent.
    fn entries(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let table = match self.value {
            Value::Table(table) => Some(table),
            _ => None,
        };
        let present = |(key, node): (&'a String, &'a Node)| match node.value {
            Value::Absent => None,
            _ => Some((key.as_str(), &node.value)),
        };
        table.into_iter().flatten().filter_map(present)
    }
}

fn inner(node: &Node) -> &Value {
    &node.value
}

/// Methods that give a stand-in one fixed value and everything else what is there.
macro_rules! stand_in {
    ($($method:ident => $visit:ident($value:expr);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.value {
                Value::StandIn => visitor.$visit($value),
                _ => self.give(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    /// Reads a value for a type that decides by what it finds. Tables and arrays may be buffered
    /// by it; a stand-in offers a tag, which an internally tagged enum refuses by naming its
    /// variants.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::StandIn => {
                visitor.visit_map(Entries::new(std::iter::once((TAG, &STAND_IN_TAG))))
            }
            Value::Table(_) | Value::Array(_) => {
                self.buffered.set(true);
                self.give(visitor)
            }
            _ => self.give(visitor),
        }
    }

    // The stand-in is 1, not 0, so that types without a zero read it too.
    stand_in! {
        deserialize_i8 => visit_i64(1);
        deserialize_i16 => visit_i64(1);
        deserialize_i32 => visit_i64(1);
        deserialize_i64 => visit_i64(1);
        deserialize_i128 => visit_i64(1);
        deserialize_u8 => visit_u64(1);
        deserialize_u16 => visit_u64(1);
        deserialize_u32 => visit_u64(1);
        deserialize_u64 => visit_u64(1);
        deserialize_u128 => visit_u64(1);
        deserialize_f64 => visit_f64(1.0);
        deserialize_bool => visit_bool(false);
        deserialize_char => visit_char('a');
        deserialize_str => visit_str("");
        deserialize_string => visit_str("");
        deserialize_seq => visit_seq(Elements::new(std::iter::empty()));
        deserialize_map => visit_map(Entries::new(std::iter::empty()));
    }

    /// Rounds the decimal once: through `f64`, 7.038531e-26 would become the `f32` next to it.
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::StandIn => visitor.visit_f32(1.0),
            Value::Float(number) => match number.to_string().parse() {
                Ok(single) => visitor.visit_f32(single),
                Err(_) => self.give(visitor),
            },
            _ => self.give(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::StandIn => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value {
            Value::StandIn => {
                visitor.visit_seq(Elements::new(std::iter::repeat_n(&STAND_IN, length)))
            }
            _ => self.give(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_tuple(length, visitor)
    }

    /// Refuses arrays, which a derived reader would take for the fields in order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value {
            Value::StandIn => {
                visitor.visit_map(Entries::new(fields.iter().map(|name| (*name, &STAND_IN))))
            }
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.give(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: Names,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let one = self.entries().take(2).count() == 1;
        match (self.value, variants) {
            (Value::String(variant), _) => visitor.visit_enum(variant.as_str().into_deserializer()),
            (Value::StandIn, [first, ..]) => visitor.visit_enum((*first).into_deserializer()),
            (Value::Table(_), _) if one => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries::new(self.entries())))
            }
            _ => Err(ReadError::new(Fault::WrongType {
                found: self.value.describe(),
                expected: format!("one of {}", variants.join(", ")),
            })),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::StandInTag => visitor.visit_str(""),
            _ => self.give(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct }
}

/// The entries of a table, as `serde` asks for them.
struct Entries<'a, I> {
    rest: I,
    current: Option<(&'a str, &'a Value)>,
}

impl<I> Entries<'_, I> {
    fn new(rest: I) -> Self {
        Self {
            rest,
            current: None,
        }
    }
}

impl<'de, 'a, I: Iterator<Item = (&'a str, &'a Value)>> MapAccess<'de> for Entries<'a, I> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        self.current = self.rest.next();
        self.current
            .map(|(key, _)| seed.deserialize(key.into_deserializer()))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some((key, value)) = self.current.take() else {
            return Err(Error::custom("a value was asked for before its key"));
        };
        read(seed, value).map_err(|error| error.under(key))
    }
}

/// The elements of an array; absent ones are passed over but keep their index.
struct Elements<I> {
    rest: std::iter::Enumerate<I>,
}

impl<I: Iterator> Elements<I> {
    fn new(rest: I) -> Self {
        Self {
            rest: rest.enumerate(),
        }
    }
}

impl<'de, 'a, I: Iterator<Item = &'a Value>> SeqAccess<'de> for Elements<I> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let present = self.rest.find(|(_, value)| !matches!(value, Value::Absent));
        present
            .map(|(index, value)| {
                read(seed, value).map_err(|error| error.under(&index.to_string()))
            })
            .transpose()
    }
}
