//! The report as one page: nothing loaded, readable with any width, on paper too, and without script:
//! the one there is only sorts tables.
//!
//! Everything from outside passes through `escape::html`; a policy in the page forbids the rest.

use std::fmt::Write as _;

use crate::assemble::CLOUDWATCH;
use crate::chart::paint::declarations;
use crate::chart::{ChartError, Figure, Figures};
use crate::document::Document;
use crate::escape::html as escape;
use crate::period::{Period, Unit};
use crate::section::{Cell, Section, Table, Tile, Tone, sections, tiles};

/// Characters from which on a text in a table is broken into lines.
const LONG: usize = 36;

const STYLE: &str = include_str!("style.css");

/// Sorts tables. The policy knows it by its digest, so that no other script can run.
const SCRIPT: &str = include_str!("sort.js");
const SCRIPT_SHA256: &str = "RAUH1QBn4APStYscCQFBOdmTA6Umqa6P4YGdqaiaaMc=";

/// Columns up to which a table has room for whole names on paper, and rows up to which it stands on
/// one page.
const FEW_COLUMNS: usize = 8;
const FEW_ROWS: usize = 20;

/// What the page may do: show itself, and sort its tables.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{SCRIPT_SHA256}'; style-src 'unsafe-inline'; \
         img-src data:; base-uri 'none'; form-action 'none'"
    )
}

/// The page.
pub fn html(document: &Document, period: &Period, figures: &Figures) -> Result<String, ChartError> {
    let title = format!("{}: latency and routing", document.service);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n:root{{{}}}\n\
         @media (prefers-color-scheme: dark){{:root{{{}}}}}\n\
         @media print{{:root{{{}}}}}\n{STYLE}</style>\n</head>\n<body>\n",
        policy(),
        escape(&title),
        declarations(false),
        declarations(true),
        declarations(false)
    );
    let sections = sections(document, period, figures);
    header(&mut page, document, period);
    page.push_str("<main>\n");
    summary(&mut page, document);
    contents(&mut page, &sections);
    for section in &sections {
        part(&mut page, section)?;
    }
    let made = if document.store == CLOUDWATCH {
        "Made of what CloudWatch held then."
    } else {
        "Made from the store alone: made again, it is the same."
    };
    let _ = write!(
        page,
        "</main>\n<footer><p>nearside {}, format {}. {made}</p></footer>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        escape(document.version),
        document.format
    );
    Ok(page)
}

fn header(page: &mut String, document: &Document, period: &Period) {
    let _ = write!(
        page,
        "<header>\n<p class=\"kind\">Latency and routing{}</p>\n<h1>{}</h1>\n\
         <p class=\"period\"><time datetime=\"{}\">{}</time> to <time datetime=\"{}\">{}</time> <span>{}</span></p>\n\
         </header>\n",
        match period.unit {
            Unit::Length(_) => String::new(),
            _ => format!(", by {}", escape(document.period.unit)),
        },
        escape(&document.service),
        escape(&document.period.since),
        escape(&period.text(period.since_ms)),
        escape(&document.period.until),
        escape(&period.text(period.until_ms)),
        escape(period.zone_name())
    );
}

fn summary(page: &mut String, document: &Document) {
    page.push_str("<section class=\"answer\" aria-label=\"The answer\">\n");
    for sentence in &document.answer {
        let _ = writeln!(page, "<p>{}</p>", escape(sentence));
    }
    page.push_str("</section>\n<dl class=\"tiles\">\n");
    for Tile { name, value, note, tone } in tiles(document) {
        let _ = writeln!(
            page,
            "<div class=\"tile{}\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>",
            class(tone),
            escape(name),
            escape(&value),
            escape(&note)
        );
    }
    page.push_str("</dl>\n");
    if !document.notices.is_empty() {
        page.push_str("<ul class=\"notices\">\n");
        for notice in &document.notices {
            let _ = writeln!(page, "<li>{}</li>", escape(notice));
        }
        page.push_str("</ul>\n");
    }
}

fn contents(page: &mut String, sections: &[Section<'_>]) {
    page.push_str("<nav aria-label=\"Contents\">");
    for section in sections {
        let _ = write!(page, "<a href=\"#{}\">{}</a>", section.id, escape(section.title));
    }
    page.push_str("</nav>\n");
}

fn part(page: &mut String, section: &Section<'_>) -> Result<(), ChartError> {
    let _ = writeln!(page, "<section id=\"{}\">\n<h2>{}</h2>", section.id, escape(section.title));
    for paragraph in &section.text {
        let _ = writeln!(page, "<p>{}</p>", escape(paragraph));
    }
    for one in section.figures {
        figure(page, one)?;
    }
    for table in &section.tables {
        tabulate(page, table);
    }
    page.push_str("</section>\n");
    Ok(())
}

fn figure(page: &mut String, figure: &Figure) -> Result<(), ChartError> {
    let _ = write!(page, "<figure>\n<div class=\"wide\">{}</div>\n", figure.wide.svg()?);
    let narrow = figure.narrow.as_ref().unwrap_or(&figure.wide);
    let _ = write!(
        page,
        "<div class=\"narrow\">{}</div>\n<figcaption>{}</figcaption>\n</figure>\n",
        narrow.svg()?,
        escape(&figure.caption)
    );
    Ok(())
}

fn tabulate(page: &mut String, table: &Table) {
    if table.folded {
        let _ = write!(page, "<details>\n<summary>{}</summary>\n", escape(&table.caption));
    } else {
        // Beside the table and not in it: a caption would be as wide as the table, and scroll with it.
        let _ = writeln!(page, "<p class=\"caption\">{}</p>", escape(&table.caption));
    }
    let few = if table.heads.len() <= FEW_COLUMNS { " few" } else { "" };
    let short = if table.rows.len() <= FEW_ROWS { " short" } else { "" };
    let _ = write!(
        page,
        "<div class=\"table{few}{short}\" tabindex=\"0\"><table aria-label=\"{}\">\n<thead><tr>",
        escape(&table.caption)
    );
    for (head, number) in &table.heads {
        let class = if *number { " class=\"n\"" } else { "" };
        let _ = write!(page, "<th scope=\"col\"{class}>{}</th>", escape(head));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (cell, (_, number)) in row.iter().zip(&table.heads) {
            cell_of(page, cell, *number);
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
    if table.folded {
        page.push_str("</details>\n");
    }
}

fn cell_of(page: &mut String, cell: &Cell, number: bool) {
    let shape = match (number, cell.text.chars().count()) {
        (true, _) => "n",
        (false, LONG..) => "long",
        (false, _) => "",
    };
    let class = format!("{shape}{}", class(cell.tone));
    let _ = match class.trim() {
        "" => write!(page, "<td>{}</td>", escape(&cell.text)),
        class => write!(page, "<td class=\"{class}\">{}</td>", escape(&cell.text)),
    };
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "",
        Tone::Strong => " strong",
        Tone::Good => " good",
        Tone::Bad => " bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn the_policy_knows_the_script() {
        let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT));
        assert_eq!(SCRIPT_SHA256, digest);
    }
}
