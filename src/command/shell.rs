//! What is made from the programs' own types: completions, manual pages, the schema of the configuration.

use std::path::Path;

use clap::{Command, CommandFactory};
use serde_json::json;

use crate::cli::{CompletionsArgs, ManArgs, SchemaArgs};
use crate::failure::{Exit, Failure};
use crate::terminal::{Terminal, print};

/// `advisor schema`: the JSON Schema, or the page that people read.
pub fn schema(args: &SchemaArgs) -> Result<(), Failure> {
    if args.markdown {
        return print(&probe::config::reference());
    }
    print(&probe::config::schema_text())
}

/// `completions SHELL` of the program whose command line `P` is.
pub fn completions<P: CommandFactory>(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut command = P::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// `man DIR` of the program whose command line `P` is: a page for it, and one for each command.
pub fn man<P: CommandFactory>(terminal: Terminal, args: &ManArgs) -> Result<(), Failure> {
    let mut command = P::command();
    // Sub-commands learn their full names and the arguments that hold for all.
    command.build();
    let failed = |path: &Path, cause: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {cause}", path.display()))
            .hint("name a folder that may be written")
    };
    std::fs::create_dir_all(&args.dir).map_err(|cause| failed(&args.dir, cause))?;
    let mut written = Vec::new();
    for (name, page) in pages(&command) {
        let path = args.dir.join(format!("{name}.1"));
        let mut text = Vec::new();
        page.render(&mut text).map_err(|cause| failed(&path, cause))?;
        std::fs::write(&path, text).map_err(|cause| failed(&path, cause))?;
        written.push(path.display().to_string());
    }
    let text = format!("{} pages in {}\n", written.len(), args.dir.display());
    terminal.result(&crate::show::escape_lines(&text), &json!({ "pages": written }))
}

/// The program's page, and its commands' own; `help` has none.
fn pages(command: &Command) -> Vec<(String, clap_mangen::Man)> {
    let name = command.get_name().to_owned();
    let mut pages = vec![(name.clone(), clap_mangen::Man::new(command.clone()))];
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        pages.push((format!("{name}-{}", sub.get_name()), clap_mangen::Man::new(sub.clone())));
    }
    pages
}
