//! Objects as Go's `encoding/json` writes and reads them.
//!
//! [`ObjectWriter`] writes fields in the order of its calls, with `<`, `>`, `&`, U+2028 and U+2029
//! escaped. [`Object`] reads as Go does: names match in any letter case, the last of several equal
//! names counts, `null` leaves the zero value; what nobody took stays in [`Extra`].

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ResourceError;

/// Fields that we do not know, as they were found; written back verbatim.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extra(Vec<(String, Box<RawValue>)>);

impl Extra {
    /// Adds a field that was found after the others.
    pub(crate) fn push(&mut self, name: String, raw: Box<RawValue>) {
        self.0.push((name, raw));
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        let texts = |extra: &Self| -> Vec<(String, String)> {
            let text = |(k, v): &(String, Box<RawValue>)| (k.clone(), v.get().to_owned());
            extra.0.iter().map(text).collect()
        };
        // Nearly always both are empty, and this is asked for each attribute of a block.
        self.0.len() == other.0.len() && (self.0.is_empty() || texts(self) == texts(other))
    }
}

impl Eq for Extra {}

impl Extra {
    /// The fields of `self`, unless `newer` has some.
    pub(crate) fn or_newer(&self, newer: &Self) -> Self {
        let kept = if newer.0.is_empty() { self } else { newer };
        kept.clone()
    }

    /// The one field `name` with an empty object as its value.
    pub(crate) fn empty_object(name: &str) -> Self {
        let raw = RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
        Self(vec![(name.to_owned(), raw)])
    }
}

/// A JSON object taken apart, field by field.
#[derive(Debug, Default)]
pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// Takes the object in `text` apart.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ResourceError> {
        serde_json::from_slice(text).map_err(|error| ResourceError::Syntax {
            detail: error.to_string(),
        })
    }

    /// Removes the field `name`; `None` if it is missing or null.
    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, ResourceError> {
        match self.take_raw(name) {
            Some(raw) => read(name, &raw),
            None => Ok(None),
        }
    }

    /// Removes the field `name` and takes it apart in turn; `None` if it is missing or null.
    pub(crate) fn take_object(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Self>, ResourceError> {
        self.take(name)
    }

    /// The value of the field `name`, which stays; `None` if it is missing or null.
    pub(crate) fn peek<T: DeserializeOwned>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ResourceError> {
        let is_named = |(k, _): &&(String, Box<RawValue>)| k.eq_ignore_ascii_case(name);
        match self.0.iter().rfind(is_named) {
            Some((_, raw)) => read(name, raw),
            None => Ok(None),
        }
    }

    /// Removes the field `name` unread, to be written back verbatim at its place.
    pub(crate) fn take_extra(&mut self, name: &'static str) -> Extra {
        let raw = self.take_raw(name).filter(|raw| raw.get() != "null");
        Extra(raw.map(|raw| (name.to_owned(), raw)).into_iter().collect())
    }

    fn take_raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        let mut found = None;
        while let Some(at) = self
            .0
            .iter()
            .rposition(|(k, _)| k.eq_ignore_ascii_case(name))
        {
            let (_, raw) = self.0.remove(at);
            found.get_or_insert(raw);
        }
        found
    }

    /// The fields that nobody took.
    pub(crate) fn into_extra(self) -> Extra {
        Extra(self.0)
    }
}

fn read<T: DeserializeOwned>(
    name: &'static str,
    raw: &RawValue,
) -> Result<Option<T>, ResourceError> {
    serde_json::from_str(raw.get()).map_err(|error| ResourceError::Field {
        field: name,
        detail: error.to_string(),
    })
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A text that is read, and copied only where it has escapes.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Found;
        impl<'de> Visitor<'de> for Found {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Found)
    }
}

/// The two digits of each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number: u8 = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

fn last_two(number: u64) -> [u8; 2] {
    PAIRS[usize::try_from(number % 100).unwrap_or(0)]
}

/// Writes `number` at the end of `out`, as [`value_into`] does; a block has hundreds of them, most of
/// them small.
#[inline]
pub(crate) fn number_into(out: &mut Vec<u8>, number: u64) {
    match number {
        0..10 => out.push(last_two(number)[1]),
        10..100 => out.extend_from_slice(&last_two(number)),
        _ => large_number_into(out, number),
    }
}

fn large_number_into(out: &mut Vec<u8>, number: u64) {
    // 20: the digits of 2^64 - 1.
    let mut digits = [b'0'; 20];
    let (mut rest, mut at) = (number, digits.len());
    while rest > 0 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&last_two(rest));
        rest /= 100;
    }
    at += usize::from(digits[at] == b'0');
    out.extend_from_slice(&digits[at..]);
}

/// Writes numbers of which each is near the one before as a rule: then its last four digits alone are
/// made anew.
#[derive(Debug, Default)]
pub(crate) struct NearNumbers {
    /// The last number without those four digits.
    high: u64,
    /// All digits of the last number.
    digits: Vec<u8>,
}

impl NearNumbers {
    /// Writes `number` at the end of `out`, as [`number_into`] does.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, number: u64) {
        let (high, low) = (number / 10_000, number % 10_000);
        match self.digits.last_chunk_mut() {
            Some([a, b, c, d]) if high > 0 && high == self.high => {
                [*a, *b] = last_two(low / 100);
                [*c, *d] = last_two(low);
            }
            _ => {
                self.high = high;
                self.digits.clear();
                number_into(&mut self.digits, number);
            }
        }
        out.extend_from_slice(&self.digits);
    }
}

/// Writes a list, each entry by `write`.
pub(crate) fn write_list<T>(
    out: &mut Vec<u8>,
    entries: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (number, entry) in entries.into_iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write(out, entry);
    }
    out.push(b']');
}

/// Writes one object, a field a call.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> ObjectWriter<'a> {
    /// Opens an object at the end of `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes `"name":value`.
    pub(crate) fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        value_into(self.name(name), value);
    }

    /// Writes `"name":` and lets `write` add the value.
    pub(crate) fn field_with(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.name(name));
    }

    /// Writes `"name":"value"`.
    pub(crate) fn any_text(&mut self, name: &str, value: &str) {
        text_into(self.name(name), value);
    }

    /// The same, unless the text is empty.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.any_text(name, value);
        }
    }

    /// Writes `"name":true`, unless it is false.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        if value {
            self.field(name, &value);
        }
    }

    /// Writes fields as they were found.
    pub(crate) fn extra(&mut self, extra: &Extra) {
        for (name, raw) in &extra.0 {
            self.field(name, raw);
        }
    }

    /// Writes the unknown fields and closes the object.
    pub(crate) fn end(mut self, extra: &Extra) {
        self.extra(extra);
        self.close();
    }

    /// Closes the object.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        text_into(self.out, name);
        self.out.push(b':');
        self.out
    }
}

/// Writes `text` at the end of `out`, as [`value_into`] does. Nearly no text has anything to escape.
pub(crate) fn text_into(out: &mut Vec<u8>, text: &str) {
    let is_plain =
        |octet| matches!(octet, b' '..=b'~') & !matches!(octet, b'"' | b'\\' | b'<' | b'>' | b'&');
    // Every octet is looked at, so that many can be at once.
    if !text
        .bytes()
        .fold(true, |plain, octet| plain & is_plain(octet))
    {
        return value_into(out, text);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Writes `value` at the end of `out`, escaped as Go escapes.
pub(crate) fn value_into<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let mut serializer = serde_json::Serializer::with_formatter(out, GoFormatter);
    value
        .serialize(&mut serializer)
        .expect("numbers, texts, lists and maps with text keys can always be written to memory");
}

/// The compact form, with the five characters escaped that Go escapes for the sake of HTML and
/// JavaScript.
struct GoFormatter;

impl serde_json::ser::Formatter for GoFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        const SPECIAL: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];
        // 0xe2: what U+2028 and U+2029 begin with in UTF-8.
        let is_plain = |octet| !matches!(octet, b'<' | b'>' | b'&' | 0xe2);
        if fragment.bytes().all(is_plain) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(SPECIAL) {
            let (plain, tail) = rest.split_at(at);
            let special = tail.chars().next().expect("found above");
            write!(writer, "{plain}\\u{:04x}", u32::from(special))?;
            rest = &tail[special.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn written<T: Serialize + ?Sized>(value: &T) -> String {
        let mut out = Vec::new();
        value_into(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_escaped_as_go_escapes_it() {
        // What json.Marshal of Go 1.26 makes of the same text (\b and \f have their short form since 1.22).
        for (text, go) in [
            ("a<b>&c", r#""a\u003cb\u003e\u0026c""#),
            ("\u{2028}x\u{2029}", r#""\u2028x\u2029""#),
            ("\u{8}\u{c}\n\r\t\"\\/", r#""\b\f\n\r\t\"\\/""#),
            ("\u{0}\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("ä€😀", "\"ä€😀\""),
        ] {
            assert_eq!(written(text), go);
        }
        assert_eq!(written(&BTreeMap::from([("<", 1)])), r#"{"\u003c":1}"#);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        let powers = (0..20).map(|power| 10u64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1, power.wrapping_mul(7)]);
        for number in around.chain(0..=1000).chain([u64::MAX, u64::MAX - 1]) {
            let mut out = b"x".to_vec();
            number_into(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{number}"));
        }
    }

    proptest! {
        #[test]
        fn the_short_ways_write_the_same(
            texts in prop::collection::vec(any::<String>(), 0..9),
            numbers in prop::collection::vec((any::<u64>(), 0..30_000u64, 0..64u32), 0..9),
        ) {
            let octets = (0..=0x7fu8).map(|octet| format!("a{}b", char::from(octet)));
            for text in octets.chain(texts) {
                let mut out = Vec::new();
                text_into(&mut out, &text);
                prop_assert_eq!(String::from_utf8(out).unwrap(), written(&text));
            }
            let (mut near, mut expected, mut found) = (NearNumbers::default(), vec![], vec![]);
            for (number, step, shift) in numbers {
                let number = number >> shift;
                for number in [number, number.saturating_add(step), number.saturating_sub(step)] {
                    number_into(&mut expected, number);
                    near.write(&mut found, number);
                }
            }
            prop_assert_eq!(expected, found);
        }
    }

    #[test]
    fn names_match_in_any_case_and_the_last_counts() {
        let mut object =
            Object::parse(br#"{"a":1,"A":2,"b":null,"c":3.50,"d":{"<":1e999}}"#).unwrap();
        assert_eq!(object.take::<u64>("a").unwrap(), Some(2));
        assert_eq!(object.take::<u64>("a").unwrap(), None);
        assert_eq!(object.take::<u64>("b").unwrap(), None);
        let mut out = Vec::new();
        ObjectWriter::new(&mut out).end(&object.into_extra());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"c":3.50,"d":{"<":1e999}}"#,
            "unknown fields keep their text"
        );
    }

    #[test]
    fn faults_name_the_field() {
        let mut object = Object::parse(br#"{"n":1.5,"m":18446744073709551616}"#).unwrap();
        for field in ["n", "m"] {
            let error = object.take::<u64>(field).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("field {field}: ")),
                "{error}"
            );
        }
        for text in ["", "[]", "null", "{", "{}x", r#"{"a":}"#, "\u{feff}{}"] {
            assert!(Object::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
