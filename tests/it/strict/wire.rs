//! Protobuf's wire format, as far as our messages use it.

use std::collections::BTreeSet;

/// A field's value by its wire type; groups and 32-bit numbers are in none of our messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub fn varint(self) -> Result<u64, String> {
        match self {
            Value::Varint(number) => Ok(number),
            other => Err(format!("a varint is {other:?}")),
        }
    }

    pub fn uint32(self) -> Result<u32, String> {
        u32::try_from(self.varint()?).map_err(|_| "a number has over 32 bits".to_owned())
    }

    pub fn int64(self) -> Result<i64, String> {
        Ok(self.varint()?.cast_signed())
    }

    /// A double or a fixed64: its bits.
    pub fn fixed64(self) -> Result<u64, String> {
        match self {
            Value::Fixed64(bits) => Ok(bits),
            other => Err(format!("a 64-bit number is {other:?}")),
        }
    }

    pub fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(format!("a message or text is {other:?}")),
        }
    }

    pub fn text(self) -> Result<String, String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| "a text is not UTF-8".to_owned())
    }

    /// Packed numbers.
    pub fn numbers(self) -> Result<Vec<u64>, String> {
        let (mut rest, mut all) = (self.bytes()?, Vec::new());
        while !rest.is_empty() {
            all.push(varint(&mut rest)?);
        }
        Ok(all)
    }

    /// Packed numbers of 32 bits.
    pub fn packed(self) -> Result<Vec<u32>, String> {
        self.numbers()?.into_iter().map(|number| Value::Varint(number).uint32()).collect()
    }
}

/// The fields of a message in their order. Of those in `single` none may stand twice.
pub fn fields<'a>(mut rest: &'a [u8], single: &[u32]) -> Result<Vec<(u32, Value<'a>)>, String> {
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let number = u32::try_from(key >> 3).map_err(|_| "a field number is too large".to_owned())?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut rest)?),
            1 => {
                let (bits, after) = rest.split_first_chunk::<8>().ok_or("a 64-bit number is cut off")?;
                rest = after;
                Value::Fixed64(u64::from_le_bytes(*bits))
            }
            2 => Value::Bytes(delimited(&mut rest)?),
            other => return Err(format!("field {number} has the wire type {other}")),
        };
        if number == 0 {
            return Err("a field has the number 0".into());
        }
        if !seen.insert(number) && single.contains(&number) {
            return Err(format!("field {number} stands twice"));
        }
        all.push((number, value));
    }
    Ok(all)
}

/// A length and so many bytes.
pub fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = usize::try_from(varint(rest)?).map_err(|_| "a length is too large".to_owned())?;
    let (bytes, after) = rest.split_at_checked(length).ok_or("a field is cut off")?;
    *rest = after;
    Ok(bytes)
}

/// A number of seven bits a byte, in the shortest form.
pub fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut number: u64 = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or("a varint is cut off")?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err("a varint has over 64 bits".into());
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return if *byte == 0 && shift > 0 {
                Err("a varint is longer than it need be".into())
            } else {
                Ok(number)
            };
        }
    }
    Err("a varint has over ten bytes".into())
}

/// Said of a field that the message does not have.
pub fn unknown<T>(message: &str, number: u32) -> Result<T, String> {
    Err(format!("{message} has no field {number}"))
}
