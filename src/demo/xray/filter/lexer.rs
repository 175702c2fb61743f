//! From text to tokens, each with its place.

/// What is wrong with an expression, and the byte where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a word, with its dots.
    Word(String),
    Text(String),
    Number(f64),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`, `!`, the comma, and brackets of all kinds.
    Sign(&'static str),
    End,
}

/// The longer one first where one begins with another.
const SIGNS: [&str; 14] = ["!=", "<=", ">=", "=", "<", ">", "!", "(", ")", "{", "}", "[", "]", ","];

/// All tokens and their places; the last one is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, len) = token(&text[at..], first).map_err(|what| Fault { at, what })?;
        found.push((at, token));
        at += len;
    }
    found.push((at, Token::End));
    Ok(found)
}

fn token(rest: &str, first: char) -> Result<(Token, usize), String> {
    if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        return Ok((Token::Sign(sign), sign.len()));
    }
    let run = |of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
    match first {
        '"' => quoted(rest),
        '-' | '.' | '0'..='9' => {
            let len = run(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let number = rest[..len].parse().ok().filter(|n: &f64| n.is_finite());
            let number = number.ok_or_else(|| format!("{:?} is no number", &rest[..len]))?;
            Ok((Token::Number(number), len))
        }
        c if c.is_alphabetic() || c == '_' => {
            let len = run(|c| c.is_alphanumeric() || "_.:-".contains(c));
            Ok((Token::Word(rest[..len].to_owned()), len))
        }
        c => Err(format!("{c:?} does not belong here")),
    }
}

/// A text in double quotes; a backslash takes the next character as it is.
fn quoted(rest: &str) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(text), at + 1)),
            '\\' => text.extend(chars.next().map(|(_, c)| c)),
            c => text.push(c),
        }
    }
    Err("a text without its closing quote".to_owned())
}
