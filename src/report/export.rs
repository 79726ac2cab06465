//! `export`: attempts as CSV or as JSON lines, one at a time.

use std::io::{self, Write};

use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::json;
use crate::model::ByteText;
use crate::store::Cell;

/// The column whose text is JSON already.
const JSON_COLUMN: &str = "leaks";

/// Writes attempts.
pub enum Export<W: Write> {
    /// Comma-separated values.
    Csv(Box<csv::Writer<W>>),
    /// JSON lines: the columns' names, and where they go.
    Json(Vec<String>, W),
}

impl<W: Write> Export<W> {
    /// CSV, with its header.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn csv(columns: &[String], out: W) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(columns).map_err(unwrapped)?;
        Ok(Export::Csv(Box::new(writer)))
    }

    /// JSON lines.
    pub fn json(columns: Vec<String>, out: W) -> Self {
        Export::Json(columns, out)
    }

    /// Writes an attempt's row.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        match self {
            Export::Csv(writer) => {
                let record = cells.iter().map(field).collect::<io::Result<Vec<_>>>()?;
                writer.write_record(record).map_err(unwrapped)
            }
            Export::Json(columns, out) => {
                let line = json::json_line(&Object(columns, cells)).map_err(io::Error::other)?;
                out.write_all(line.as_bytes())
            }
        }
    }

    /// Writes what was held back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            Export::Csv(writer) => writer.flush(),
            Export::Json(_, out) => out.flush(),
        }
    }
}

/// The operating system's error, which says whether the reader left.
fn unwrapped(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// A CSV field. Bytes that are not UTF-8 are as in JSON. A program that opens the file as a table
/// takes some texts for formulas: they get an apostrophe before them, which it does not show.
fn field(cell: &Cell<'_>) -> io::Result<String> {
    Ok(match cell {
        Cell::Nothing => String::new(),
        Cell::Integer(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => {
                format!("'{text}")
            }
            Ok(text) => text.to_owned(),
            Err(_) => serde_json::to_string(&ByteText::from(bytes.to_vec()))?,
        },
    })
}

/// A row as a JSON object, in the columns' order.
struct Object<'a>(&'a [String], &'a [Cell<'a>]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, cell) in self.0.iter().zip(self.1) {
            map.serialize_entry(column, &value(column, cell).map_err(S::Error::custom)?)?;
        }
        map.end()
    }
}

fn value(column: &str, cell: &Cell<'_>) -> io::Result<Value> {
    Ok(match cell {
        Cell::Nothing => Value::Null,
        Cell::Integer(value) => (*value).into(),
        Cell::Real(value) => (*value).into(),
        Cell::Bytes(bytes) if column == JSON_COLUMN => serde_json::from_slice(bytes)?,
        Cell::Bytes(bytes) => serde_json::to_value(ByteText::from(bytes.to_vec()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: [Cell<'_>; 5] = [
        Cell::Bytes(b"a,\"b\"\nc"),
        Cell::Nothing,
        Cell::Integer(7),
        Cell::Real(0.5),
        Cell::Bytes(b"[{\"kind\":\"process\"}]"),
    ];

    fn columns() -> Vec<String> {
        ["test", "none", "count", "share", "leaks"]
            .map(String::from)
            .into()
    }

    fn csv(cells: &[Cell<'_>]) -> String {
        let mut out = Vec::new();
        let mut export = Export::csv(&columns(), &mut out).unwrap();
        export.row(cells).unwrap();
        export.finish().unwrap();
        drop(export);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_is_quoted_where_it_has_to_be() {
        assert_eq!(
            csv(&CELLS),
            "test,none,count,share,leaks\n\
             \"a,\"\"b\"\"\nc\",,7,0.5,\"[{\"\"kind\"\":\"\"process\"\"}]\"\n"
        );
    }

    #[test]
    fn no_text_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@x", "\tx", "\rx"] {
            assert_eq!(
                field(&Cell::Bytes(text.as_bytes())).unwrap(),
                format!("'{text}")
            );
        }
        assert_eq!(field(&Cell::Bytes(b"a=1")).unwrap(), "a=1");
    }

    #[test]
    fn json_has_nulls_and_bytes() {
        let mut out = Vec::new();
        let mut export = Export::json(columns(), &mut out);
        export.row(&CELLS).unwrap();
        let mut bytes = CELLS;
        bytes[0] = Cell::Bytes(b"b\xff\x1b");
        export.row(&bytes).unwrap();
        drop(export);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"test\":\"a,\\\"b\\\"\\nc\",\"none\":null,\"count\":7,\"share\":0.5,\"leaks\":[{\"kind\":\"process\"}]}\n\
             {\"test\":{\"base64\":\"Yv8b\"},\"none\":null,\"count\":7,\"share\":0.5,\"leaks\":[{\"kind\":\"process\"}]}\n"
        );
        assert_eq!(field(&bytes[0]).unwrap(), "{\"base64\":\"Yv8b\"}");
    }
}
