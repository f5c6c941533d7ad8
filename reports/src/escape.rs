//! Text from outside: made harmless for a page, for Markdown, and for the eye. Pure.

/// What turns text around, joins it unseen, or is obeyed, as a code that can be seen.
pub(crate) fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_unseen(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Formatting characters of Unicode that have no shape of their own, and line separators.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// For the text and the quoted attributes of a page.
pub(crate) fn html(text: &str) -> String {
    let text = visible(text);
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// For Markdown, in a table or out of it: nothing in it is markup, and nothing becomes a link.
pub(crate) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '#' | '~' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    // A renderer that makes links of bare addresses must not do so with one from outside.
    safe.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace('@', "&#64;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_obeyed() {
        let planted = "<script>\"'&\u{202e}\u{7}\u{200b}|*[x](http://a)";
        assert_eq!(
            html(planted),
            "&lt;script&gt;&quot;&#39;&amp;\\u{202e}\\u{7}\\u{200b}|*[x](http://a)"
        );
        let safe = markdown(planted);
        assert_eq!(
            safe,
            "&lt;script&gt;\"'&amp;\\\\u{202e}\\\\u{7}\\\\u{200b}\\|\\*\\[x\\](http:&#47;&#47;a)"
        );
        assert_eq!(visible("caf\u{e9} \u{6771}\u{4eac}"), "caf\u{e9} \u{6771}\u{4eac}");
    }
}
