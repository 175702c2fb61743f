//! Regular expressions in RE2's syntax, as Go's `regexp` reads them, rewritten for the `regex`
//! crate.
//!
//! The two agree on most patterns, but not on all: in RE2 `\d`, `\s`, `\w` and `\b` are ASCII,
//! classes have no set operations, `{` that begins no repetition is a literal, and there are
//! `\Q...\E` and octal escapes; while stacked repetitions, counts above 1000, `(?x)` and more are
//! errors. So each token is read by RE2's rules and written in a form that means the same to
//! `regex`. What both read alike (groups, anchors, flags) is passed on.
//! Source: <https://github.com/google/re2/wiki/Syntax>.

use std::fmt::Write;

use regex::bytes::{Regex, RegexBuilder};

/// A compiled expression takes no more memory than this, in bytes.
const SIZE_LIMIT: usize = 1 << 20;
/// RE2's greatest repetition count.
const MAX_REPEAT: u32 = 1000;

const NO_BRACKET: &str = "missing closing ]";
const BAD_ESCAPE: &str = "invalid escape sequence";
const BAD_RANGE: &str = "invalid character class range";

/// The names of `[:name:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

struct Reader<'p> {
    rest: &'p str,
    out: String,
}

/// Compiles a pattern. It is searched for anywhere in the text (unanchored).
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern)?;
    RegexBuilder::new(&translated).size_limit(SIZE_LIMIT).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("larger than {limit} bytes when compiled"),
        // The last line of a syntax error says what; those before it draw the translated pattern.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    })
}

fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut reader = Reader { rest: pattern, out: String::with_capacity(pattern.len() + 16) };
    let mut repeated = false;
    while let Some(next) = reader.rest.chars().next() {
        let repeat = reader.repeat()?;
        if repeat && repeated {
            return Err("invalid nested repetition operator");
        }
        repeated = repeat;
        if repeat {
            continue;
        }
        match next {
            '[' => reader.class()?,
            '\\' => reader.escape()?,
            '(' => reader.group()?,
            '.' | '^' | '$' | '|' | ')' => {
                reader.bump();
                reader.out.push(next);
            }
            _ => {
                reader.bump();
                reader.literal(next);
            }
        }
    }
    Ok(reader.out)
}

/// The ASCII class of `\d`, `\s` or `\w` as items of a class.
fn perl_class(letter: char) -> Option<&'static str> {
    match letter.to_ascii_lowercase() {
        'd' => Some("0-9"),
        's' => Some(r"\t\n\f\r\x20"),
        'w' => Some("0-9A-Za-z_"),
        _ => None,
    }
}

// === impl Reader ===

impl<'p> Reader<'p> {
    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            // Writing to a String can't fail.
            let _ = write!(self.out, "\\x{:02x}", c as u32);
        } else {
            self.out.push(c);
        }
    }

    /// Passes on `*`, `+`, `?` or a counted repetition, with the `?` of a lazy one. False if there
    /// is none here.
    fn repeat(&mut self) -> Result<bool, &'static str> {
        let len = match self.rest.as_bytes().first() {
            Some(b'*' | b'+' | b'?') => 1,
            Some(b'{') => match counted(self.rest)? {
                Some(len) => len,
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        let (operator, rest) = self.rest.split_at(len);
        self.out.push_str(operator);
        self.rest = rest;
        if self.eat("?") {
            self.out.push('?');
        }
        Ok(true)
    }

    /// Passes on what opens a group, or sets flags, if it is RE2's.
    fn group(&mut self) -> Result<(), &'static str> {
        self.bump();
        self.out.push('(');
        if !self.eat("?") {
            return Ok(());
        }
        self.out.push('?');
        if self.rest.starts_with("P<") || self.rest.starts_with('<') {
            let end = self.rest.find('>').ok_or("invalid named capture")? + 1;
            let (name, rest) = self.rest.split_at(end);
            self.out.push_str(name);
            self.rest = rest;
            return Ok(());
        }
        let len = self.rest.find([':', ')']).ok_or("missing closing )")?;
        let (flags, rest) = self.rest.split_at(len);
        if !flags.chars().all(|flag| "imsU-".contains(flag)) {
            return Err("invalid or unsupported Perl syntax");
        }
        self.out.push_str(flags);
        self.rest = rest;
        // Either `:` of a group or `)` after flags that hold from here on.
        let last = self.bump();
        self.out.extend(last);
        Ok(())
    }

    /// An escape outside of a class.
    fn escape(&mut self) -> Result<(), &'static str> {
        if self.eat(r"\Q") {
            let (text, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
            text.chars().for_each(|c| self.literal(c));
            self.rest = rest;
            return Ok(());
        }
        for (from, to) in
            [(r"\A", r"\A"), (r"\z", r"\z"), (r"\b", r"(?-u:\b)"), (r"\B", r"(?-u:\B)")]
        {
            if self.eat(from) {
                self.out.push_str(to);
                return Ok(());
            }
        }
        if self.set()? {
            return Ok(());
        }
        let c = self.escaped_char()?;
        self.literal(c);
        Ok(())
    }

    /// `\d`, `\pL` and the like, inside or outside of a class. False if there is none here.
    fn set(&mut self) -> Result<bool, &'static str> {
        let Some(letter) = self.rest.strip_prefix('\\').and_then(|rest| rest.chars().next()) else {
            return Ok(false);
        };
        if let Some(items) = perl_class(letter) {
            self.rest = &self.rest[2..];
            let negation = if letter.is_ascii_uppercase() { "^" } else { "" };
            let _ = write!(self.out, "[{negation}{items}]");
            return Ok(true);
        }
        if letter != 'p' && letter != 'P' {
            return Ok(false);
        }
        self.rest = &self.rest[2..];
        let mut negated = letter == 'P';
        let name = if self.eat("{") {
            negated ^= self.eat("^");
            let (name, rest) = self.rest.split_once('}').ok_or(BAD_RANGE)?;
            self.rest = rest;
            name.to_owned()
        } else {
            self.bump().ok_or(BAD_RANGE)?.to_string()
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(BAD_RANGE);
        }
        let letter = if negated { 'P' } else { 'p' };
        let _ = write!(self.out, "\\{letter}{{{name}}}");
        Ok(true)
    }

    /// The character that an escape stands for.
    fn escaped_char(&mut self) -> Result<char, &'static str> {
        self.bump();
        let c = self.bump().ok_or("trailing backslash at end of expression")?;
        let octal = |rest: &str| rest.starts_with(|next| ('0'..='7').contains(&next));
        match c {
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            'x' => self.hex(),
            // One digit alone, other than 0, would be a back reference.
            '0' => self.octal(c),
            '1'..='7' if octal(self.rest) => self.octal(c),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c),
            _ => Err(BAD_ESCAPE),
        }
    }

    fn octal(&mut self, first: char) -> Result<char, &'static str> {
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.bump();
        }
        char::from_u32(value).ok_or(BAD_ESCAPE)
    }

    fn hex(&mut self) -> Result<char, &'static str> {
        let digits = if self.eat("{") {
            let (digits, rest) = self.rest.split_once('}').ok_or(BAD_ESCAPE)?;
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).ok_or(BAD_ESCAPE)?;
            self.rest = rest;
            digits
        };
        if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(BAD_ESCAPE);
        }
        u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).ok_or(BAD_ESCAPE)
    }

    /// A class in brackets. Its literals are escaped, so that nothing in it is a set operation.
    fn class(&mut self) -> Result<(), &'static str> {
        self.bump();
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        let mut first = true;
        while first || !self.eat("]") {
            first = false;
            if self.set()? || self.posix()? {
                continue;
            }
            let low = self.class_char()?;
            self.literal(low);
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
                self.bump();
                let high = self.class_char()?;
                self.out.push('-');
                self.literal(high);
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// `[:alpha:]` or `[:^alpha:]`, in a class. False if there is none here.
    fn posix(&mut self) -> Result<bool, &'static str> {
        let Some(end) = self.rest.strip_prefix("[:").and_then(|rest| rest.find(":]")) else {
            return Ok(false);
        };
        let (class, rest) = self.rest.split_at(end + 4);
        let name = &class[2..end + 2];
        if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(BAD_RANGE);
        }
        self.out.push_str(class);
        self.rest = rest;
        Ok(true)
    }

    fn class_char(&mut self) -> Result<char, &'static str> {
        if self.rest.starts_with('\\') {
            return self.escaped_char();
        }
        self.bump().ok_or(NO_BRACKET)
    }
}

/// The length of `{n}`, `{n,}` or `{n,m}` at the start of `text`; nothing if its `{` is a literal.
fn counted(text: &str) -> Result<Option<usize>, &'static str> {
    let Some(end) = text.find('}') else { return Ok(None) };
    let inner = &text[1..end];
    let (min, max) = inner.split_once(',').unwrap_or((inner, inner));
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain && (digits.len() == 1 || !digits.starts_with('0'))
    };
    if !number(min) || !(max.is_empty() || number(max)) {
        return Ok(None);
    }
    // Too many digits for a u32 are too large a count as well.
    let value = |digits: &str| digits.parse::<u32>().unwrap_or(u32::MAX);
    let (min, max) = (value(min), if max.is_empty() { MAX_REPEAT } else { value(max) });
    if min > max || max > MAX_REPEAT {
        return Err("invalid repeat count");
    }
    Ok(Some(end + 1))
}

#[cfg(test)]
#[path = "re2_tests.rs"]
mod tests;
