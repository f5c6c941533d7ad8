//! CSV with a heading into fields: quotes, CRLF and a byte order mark are understood.
//!
//! It knows nothing of what the fields mean.

/// A heading and lines with as many fields each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The first line.
    pub header: Vec<String>,
    /// The others, each with its line number, from 1. Empty lines are passed over.
    pub rows: Vec<(usize, Vec<String>)>,
}

/// Why text is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing there.
    #[error("the file is empty")]
    Empty,
    /// Another number of fields than the header's.
    #[error("line {line}, column {column}: {found} fields, the header has {expected}")]
    Ragged {
        /// Line of the file, from 1.
        line: usize,
        /// The first field that is missing or too many, from 1.
        column: usize,
        /// Fields of this line.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A quote that does not end, or is followed by something else.
    #[error("line {line}, column {column}: a quote does not end at the end of its field")]
    Quote {
        /// Line of the file, from 1.
        line: usize,
        /// Field of the line, from 1.
        column: usize,
    },
}

/// Reads CSV text. Fields are trimmed.
pub fn read_table(text: &str) -> Result<Table, ReadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let mut filled = lines.by_ref().filter(|(_, line)| !line.trim().is_empty());
    let (at, first) = filled.next().ok_or(ReadError::Empty)?;
    let header = fields(at, first)?;
    let mut rows = Vec::new();
    for (line, text) in filled {
        let cells = fields(line, text)?;
        if cells.len() != header.len() {
            let (found, expected) = (cells.len(), header.len());
            let column = found.min(expected) + 1;
            return Err(ReadError::Ragged { line, column, found, expected });
        }
        rows.push((line, cells));
    }
    Ok(Table { header, rows })
}

fn fields(line: usize, text: &str) -> Result<Vec<String>, ReadError> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start();
        let (field, after) = if let Some(quoted) = start.strip_prefix('"') {
            let error = ReadError::Quote { line, column: fields.len() + 1 };
            unquoted(quoted).ok_or(error)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].trim().to_owned(), &rest[end..])
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(fields),
        }
    }
}

/// A field after its opening quote, and what follows its closing one: a comma or nothing.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => break,
        }
    }
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with(',')).then_some((field, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_marks_and_line_ends() {
        let table =
            read_table("\u{feff}client,a\r\n\"Paris, \"\"FR\"\"\" , 1\r\n\r\nx,\n").unwrap();
        assert_eq!(table.header, ["client", "a"]);
        let cells = |line, a: &str, b: &str| (line, vec![a.to_owned(), b.to_owned()]);
        assert_eq!(table.rows, [cells(2, "Paris, \"FR\"", "1"), cells(4, "x", "")]);
    }

    #[test]
    fn what_is_no_table() {
        assert_eq!(read_table(" \n"), Err(ReadError::Empty));
        let ragged = |found, column| ReadError::Ragged { line: 2, column, found, expected: 2 };
        assert_eq!(read_table("a,b\n1"), Err(ragged(1, 2)));
        assert_eq!(read_table("a,b\n1,2,3"), Err(ragged(3, 3)));
        for broken in ["a,b\n1,\"2", "a,b\n1,\"2\"3"] {
            assert_eq!(read_table(broken), Err(ReadError::Quote { line: 2, column: 2 }));
        }
    }
}
