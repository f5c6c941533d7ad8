//! The report as one page: no script, nothing loaded, readable with any width, on paper too.
//!
//! Everything from outside passes through `escape::html`; a policy in the page forbids the rest.

use std::fmt::Write as _;

use crate::chart::paint::declarations;
use crate::chart::{ChartError, Figure, Figures};
use crate::document::Document;
use crate::escape::html as escape;
use crate::period::Period;
use crate::section::{Cell, Section, Table, Tile, Tone, sections, tiles};

/// Characters from which on a text in a table is broken into lines.
const LONG: usize = 36;

const STYLE: &str = include_str!("style.css");

/// What the page may do: show itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The page.
pub fn html(document: &Document, period: &Period, figures: &Figures) -> Result<String, ChartError> {
    let title = format!("{}: latency and routing", document.service);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n:root{{{}}}\n\
         @media (prefers-color-scheme: dark){{:root{{{}}}}}\n\
         @media print{{:root{{{}}}}}\n{STYLE}</style>\n</head>\n<body>\n",
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
    let _ = write!(
        page,
        "</main>\n<footer><p>nearside {}, format {}. Made from the store alone: made again, it is the same.</p></footer>\n\
         </body>\n</html>\n",
        escape(document.version),
        document.format
    );
    Ok(page)
}

fn header(page: &mut String, document: &Document, period: &Period) {
    let _ = write!(
        page,
        "<header>\n<p class=\"kind\">Latency and routing, by {}</p>\n<h1>{}</h1>\n\
         <p class=\"period\"><time datetime=\"{}\">{}</time> to <time datetime=\"{}\">{}</time> <span>{}</span></p>\n\
         </header>\n",
        escape(document.period.unit),
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
    }
    page.push_str("<div class=\"table\" tabindex=\"0\"><table>\n");
    if !table.folded {
        let _ = writeln!(page, "<caption>{}</caption>", escape(&table.caption));
    }
    page.push_str("<thead><tr>");
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
