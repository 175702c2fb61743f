//! Where a piece of configuration came from, and how its line is shown in an error.

use super::suggest::nearest;

/// A place in a source: 1-based line and column (in characters), and how many characters it spans
/// on that line. `line` 0 means the source as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Index of the source among those that were read.
    pub source: u16,
    /// Line, from 1; 0 = the whole source.
    pub line: u32,
    /// Column in characters, from 1.
    pub col: u32,
    /// Characters to underline; at least one is.
    pub len: u32,
}

/// One configuration text and the name it is reported under.
#[derive(Clone)]
pub struct Source {
    /// Name in error messages: the path as the user gave it.
    pub name: String,
    lines: Vec<String>,
}

/// Lines longer than this are shown as a window around the place.
const WINDOW: usize = 96;

/// Words in a key that make its value unfit for printing.
pub(super) const SENSITIVE: [&str; 12] = [
    "secret",
    "token",
    "password",
    "authorization",
    "api-key",
    "api_key",
    "apikey",
    "credential",
    "key_pem",
    "htpasswd",
    "inline",
    "headers",
];

// === impl Source ===

impl Source {
    /// Keeps `text` by lines.
    pub fn new(name: impl Into<String>, text: &str) -> Self {
        Self { name: name.into(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// The mark of `needle` in the line of `at`, searched from `at` on; `at` itself if it is not
    /// there (a scalar of several lines).
    pub fn find(&self, at: Mark, needle: &str) -> Mark {
        let Some(line) = self.line(at) else { return at };
        let skip = at.col.saturating_sub(1) as usize;
        let start = line.char_indices().nth(skip).map_or(line.len(), |(i, _)| i);
        match line[start..].find(needle) {
            Some(i) => {
                let col = at.col + line[start..start + i].chars().count() as u32;
                Mark { col, len: needle.chars().count() as u32, ..at }
            }
            None => at,
        }
    }

    /// The line of `at` with carets under it, as indented lines; empty if there is no such line.
    /// With `cut`, what follows the place is left out (it may be a secret under a misspelt key).
    pub fn snippet(&self, at: Mark, cut: bool) -> String {
        let Some(line) = self.line(at) else { return String::new() };
        let chars: Vec<char> = mask(line);
        let col = (at.col.max(1) as usize - 1).min(chars.len());
        let end = (col + (at.len.max(1) as usize)).min(chars.len()).max(col + 1);
        let first = if chars.len() > WINDOW { col.saturating_sub(WINDOW / 3) } else { 0 };
        let last = chars.len().min(first + WINDOW);
        let shown = if cut { last.min(end + 1) } else { last };
        let head = if first > 0 { "..." } else { "" };
        let tail = if shown < chars.len() { " ..." } else { "" };
        let mut text = String::from(head);
        text.extend(chars[first.min(shown)..shown].iter().map(|c| printable(*c)));
        let pad = head.len() + col - first;
        let carets = (end - col).min(last.saturating_sub(col)).max(1);
        let number = at.line.to_string();
        let gap = " ".repeat(number.len());
        format!(
            "  {number} | {}{tail}\n  {gap} | {}{}\n",
            text.trim_end(),
            " ".repeat(pad),
            "^".repeat(carets)
        )
    }

    fn line(&self, at: Mark) -> Option<&str> {
        let index = (at.line as usize).checked_sub(1)?;
        self.lines.get(index).map(String::as_str)
    }
}

/// Tabs and control characters would move the carets or the terminal.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// The characters of a line, with `*` for the value of each key that looks like a secret. A key
/// that ends in `_file` names a file, and `${...}` names a variable: both stay.
fn mask(line: &str) -> Vec<char> {
    let mut chars: Vec<char> = without_user(line).chars().collect();
    let lower: Vec<char> = chars.iter().map(char::to_ascii_lowercase).collect();
    let mut i = 0;
    while i < lower.len() {
        let word_end = (i..lower.len()).find(|&j| !is_key(lower[j])).unwrap_or(lower.len());
        if word_end == i {
            i += 1;
            continue;
        }
        let word: String = lower[i..word_end].iter().collect();
        i = word_end;
        // A misspelt one, too: it is what the error may be about.
        let sensitive =
            |w: &str| SENSITIVE.iter().any(|s| w.contains(s)) || nearest(w, SENSITIVE).is_some();
        if word.ends_with("_file") || !sensitive(&word) {
            continue;
        }
        let mut at = word_end;
        while at < lower.len() && matches!(lower[at], '"' | '\'' | ' ') {
            at += 1;
        }
        if lower.get(at) != Some(&':') {
            continue;
        }
        at += 1;
        while at < lower.len() && lower[at] == ' ' {
            at += 1;
        }
        if at + 1 < lower.len() && lower[at] == '$' && lower[at + 1] == '{' {
            continue;
        }
        // To the end of the line, whatever it is: where a value ends is the parser's business.
        chars[at..].iter_mut().for_each(|c| {
            if !matches!(*c, '{' | '}' | '[' | ']') {
                *c = '*';
            }
        });
        break;
    }
    chars
}

/// The text with `*` for what stands before the `@` of a URL, or of a host where it has a `:` in
/// it: a user and its password. As long as it was.
pub(super) fn without_user(text: &str) -> String {
    let mut chars: Vec<char> = without_user_of_url(text).chars().collect();
    for at in (0..chars.len()).filter(|at| chars[*at] == '@').collect::<Vec<_>>() {
        let ends = |c: &char| c.is_whitespace() || "/\"',{}[]".contains(*c);
        let start = chars[..at].iter().rposition(ends).map_or(0, |end| end + 1);
        if chars[start..at].contains(&':') {
            chars[start..at].fill('*');
        }
    }
    chars.into_iter().collect()
}

fn without_user_of_url(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/\"',}]".contains(c));
        let authority = &after[..end.unwrap_or(after.len())];
        let user = authority.rfind('@').unwrap_or_default();
        shown.extend(authority[..user].chars().map(|_| '*'));
        rest = &after[user..];
    }
    shown + rest
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underlines_the_place() {
        let source = Source::new("f", "a: 1\n  bcd: x\n");
        let at = Mark { source: 0, line: 2, col: 3, len: 3 };
        assert_eq!(source.snippet(at, false), "  2 |   bcd: x\n    |   ^^^\n");
        assert_eq!(source.snippet(at, true), "  2 |   bcd: ...\n    |   ^^^\n");
        assert_eq!(source.snippet(Mark { line: 9, ..at }, false), "");
    }

    #[test]
    fn long_lines_are_windowed() {
        let source = Source::new("f", &format!("{}bad{}", "x".repeat(300), "y".repeat(300)));
        let text = source.snippet(Mark { source: 0, line: 1, col: 301, len: 3 }, false);
        let mut lines = text.lines();
        let (line, carets) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        assert_eq!(line.find("bad"), carets.find('^'), "{text}");
        assert!(line.len() < 120, "{text}");
    }

    #[test]
    fn secrets_are_masked() {
        for (line, want) in [
            ("secret: hush", "secret: ****"),
            ("x-api-key: k1, z: 2", "x-api-key: ********"),
            ("{secert: hush, endpont: a}", "{secert: ****************}"),
            ("secret_file: /run/s", "secret_file: /run/s"),
            ("{secret: ${env:S}, endpont: a}", "{secret: ${env:S}, endpont: a}"),
            ("endpoint: a", "endpoint: a"),
            ("proxy_url: http://u:p@h:1/@", "proxy_url: http://***@h:1/@"),
            ("{a: \"https://p@h\", b: ftp://x}", "{a: \"https://*@h\", b: ftp://x}"),
            ("endpoint: \"u:p@h:1\"", "endpoint: \"***@h:1\""),
            ("to: me@example.org", "to: me@example.org"),
            ("{headers: {x-team: hush}, b: 1}", "{headers: {************}******}"),
            ("key_pem: hush", "key_pem: ****"),
        ] {
            assert_eq!(mask(line).into_iter().collect::<String>(), want);
        }
    }

    #[test]
    fn finds_inside_a_line() {
        let source = Source::new("f", "endpoint: 127.0.0.1:${env:P}\n");
        let at = Mark { source: 0, line: 1, col: 11, len: 18 };
        assert_eq!(source.find(at, "${env:P}"), Mark { col: 21, len: 8, ..at });
        assert_eq!(source.find(at, "nope"), at);
    }
}
