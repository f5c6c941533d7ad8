//! Reads a request body into a small tree. Refuses what is not well formed, documents that are
//! too deep or too wide, document types, and other namespaces. Entities are only the predefined
//! ones and character references.

use quick_xml::NsReader;
use quick_xml::events::{BytesRef, Event};
use quick_xml::name::{Namespace, ResolveResult};

use super::NAMESPACE;
use crate::route53::error::{ApiError, Code};
use crate::route53::validate::facet;

/// Elements inside each other.
const DEPTH_MAX: usize = 16;
/// Elements of a document. 1,000 changes have fewer than 20 each.
const ELEMENTS_MAX: usize = 100_000;

/// An element: name, text, children.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// All its text.
    pub text: String,
    /// Its elements, in order.
    pub children: Vec<Element>,
}

fn malformed(detail: impl std::fmt::Display) -> ApiError {
    // Unverified text.
    ApiError::new(
        Code::MalformedInput,
        format!("The request body is not well-formed XML: {detail}"),
    )
}

/// Parses a document whose root must be `root`.
pub fn parse(body: &[u8], root: &str) -> Result<Element, ApiError> {
    let text = std::str::from_utf8(body).map_err(malformed)?;
    let mut reader = NsReader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut count = 0;
    let mut document = None;
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(malformed)?;
        let in_namespace =
            matches!(namespace, ResolveResult::Bound(Namespace(found)) if found == NAMESPACE);
        match event {
            Event::Start(start) | Event::Empty(start) if !in_namespace => {
                let found = start.local_name().as_ref().to_owned();
                return Err(facet::unexpected_element(&found, &[root]));
            }
            Event::Start(start) => {
                count += 1;
                if open.len() >= DEPTH_MAX || count > ELEMENTS_MAX || document.is_some() {
                    return Err(malformed("too many elements"));
                }
                let name = start.local_name().as_ref().to_owned();
                open.push(Element { name, ..Element::default() });
            }
            Event::Empty(start) => {
                count += 1;
                let name = start.local_name().as_ref().to_owned();
                close(Element { name, ..Element::default() }, &mut open, &mut document)?;
            }
            Event::End(_) => {
                if let Some(element) = open.pop() {
                    close(element, &mut open, &mut document)?;
                }
            }
            Event::Text(piece) => push_text(&mut open, &piece.xml10_content())?,
            Event::CData(piece) => push_text(&mut open, &piece.xml10_content())?,
            Event::GeneralRef(reference) => push_text(&mut open, &resolve(&reference)?)?,
            Event::DocType(_) => return Err(malformed("document types are not allowed")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match document {
        Some(document) if open.is_empty() && document.name == root => Ok(document),
        Some(document) if open.is_empty() => {
            Err(facet::unexpected_element(&document.name, &[root]))
        }
        _ => Err(malformed("unexpected end of document")),
    }
}

fn close(
    element: Element,
    open: &mut [Element],
    document: &mut Option<Element>,
) -> Result<(), ApiError> {
    match (open.last_mut(), document.is_some()) {
        (Some(parent), _) => parent.children.push(element),
        (None, false) => *document = Some(element),
        (None, true) => return Err(malformed("more than one root element")),
    }
    Ok(())
}

fn push_text(open: &mut [Element], text: &str) -> Result<(), ApiError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed("text outside the root element")),
    }
    Ok(())
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, ApiError> {
    if let Some(character) = reference.resolve_char_ref().map_err(malformed)? {
        return Ok(character.to_string());
    }
    let name = reference.xml10_content();
    match quick_xml::escape::resolve_predefined_entity(&name) {
        Some(text) => Ok(text.to_owned()),
        None => Err(malformed(format!("unknown entity '{name}'"))),
    }
}

impl Element {
    /// Takes the children apart: each name of `allowed` at most once, nothing else, and no text
    /// between them.
    pub fn into_fields<const N: usize>(
        self,
        allowed: [&str; N],
    ) -> Result<[Option<Element>; N], ApiError> {
        let mut fields = [const { None }; N];
        if !self.text.trim().is_empty() {
            return Err(facet::unexpected_element("#text", &allowed));
        }
        for child in self.children {
            let slot = allowed.iter().position(|name| *name == child.name);
            match slot {
                Some(at) if fields[at].is_none() => fields[at] = Some(child),
                _ => return Err(facet::unexpected_element(&child.name, &allowed)),
            }
        }
        Ok(fields)
    }

    /// The children, all of which must be called `name`.
    pub fn into_list(self, name: &str) -> Result<Vec<Element>, ApiError> {
        if !self.text.trim().is_empty() {
            return Err(facet::unexpected_element("#text", &[name]));
        }
        match self.children.iter().find(|child| child.name != name) {
            Some(other) => Err(facet::unexpected_element(&other.name, &[name])),
            None => Ok(self.children),
        }
    }

    /// The text of an element that has no children.
    pub fn into_text(self) -> Result<String, ApiError> {
        match self.children.first() {
            Some(child) => Err(facet::unexpected_element(&child.name, &[])),
            None => Ok(self.text),
        }
    }
}
