//! Writes documents. The caller says what stands where; this escapes and closes.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use super::NAMESPACE;

/// A document in the making.
#[derive(Debug)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// Makes a document with the root `root` in the API's namespace.
    pub fn document(root: &str, body: impl FnOnce(&mut Writer)) -> String {
        let mut writer = Writer { text: String::from("<?xml version=\"1.0\"?>\n") };
        // Writing to a String cannot fail, here and below.
        let _ = write!(writer.text, "<{root} xmlns=\"{NAMESPACE}\">");
        body(&mut writer);
        let _ = write!(writer.text, "</{root}>");
        writer.text
    }

    /// An element with children.
    pub fn element(&mut self, name: &str, body: impl FnOnce(&mut Writer)) {
        let _ = write!(self.text, "<{name}>");
        body(self);
        let _ = write!(self.text, "</{name}>");
    }

    /// An element with a text.
    pub fn text(&mut self, name: &str, text: impl std::fmt::Display) {
        let text = text.to_string();
        let _ = write!(self.text, "<{name}>{}</{name}>", escape(text.as_str()));
    }

    /// An element with a text, if there is one.
    pub fn optional(&mut self, name: &str, text: Option<impl std::fmt::Display>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }
}
