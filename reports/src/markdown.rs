//! The report as Markdown: the answer first, then what it rests on. Everything is escaped here.

use std::fmt::Write as _;

use crate::chart::Figures;
use crate::document::Document;
use crate::escape::markdown as escape;
use crate::period::Period;
use crate::section::{Table, Tone, sections};

/// The report. Figures stand in the page beside it.
#[must_use]
pub fn markdown(document: &Document, period: &Period) -> String {
    let mut text = format!("# {}\n\n", escape(&document.service));
    let _ = writeln!(
        text,
        "{} to {} ({})\n",
        period.text(period.since_ms),
        period.text(period.until_ms),
        escape(period.zone_name())
    );
    for sentence in &document.answer {
        let _ = writeln!(text, "{}", escape(sentence));
    }
    for notice in &document.notices {
        let _ = write!(text, "\n> {}\n", escape(notice));
    }
    let figures = Figures::default();
    for section in sections(document, period, &figures) {
        let _ = write!(text, "\n## {}\n", section.title);
        for paragraph in &section.text {
            let _ = write!(text, "\n{}\n", escape(paragraph));
        }
        for table in &section.tables {
            tabulate(&mut text, table);
        }
    }
    text
}

fn tabulate(text: &mut String, table: &Table) {
    let _ = write!(text, "\n{}:\n\n|", escape(&table.caption));
    for (head, _) in &table.heads {
        let _ = write!(text, " {} |", escape(head));
    }
    text.push_str("\n|");
    for (_, number) in &table.heads {
        text.push_str(if *number { "---:|" } else { "---|" });
    }
    text.push('\n');
    for row in &table.rows {
        text.push('|');
        for cell in row {
            let inner = escape(&cell.text);
            let _ = match cell.tone {
                Tone::Strong if cell.text != "-" => write!(text, " **{inner}** |"),
                _ => write!(text, " {inner} |"),
            };
        }
        text.push('\n');
    }
}
