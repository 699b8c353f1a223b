//! Writes JSON by hand, in the order of the real answers.
//! In: values. Out: text. Never: a serializer that the program's own reader might share.

use super::rows::Value;

/// Writes a value.
pub(super) fn value(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Ref(id) => {
            out.push_str("{\"__id\":");
            out.push_str(&id.to_string());
            out.push('}');
        }
        Value::Text(text) => string(out, text),
    }
}

/// Writes a string with its quotes.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}
