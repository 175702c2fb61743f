//! From tokens to a filter. `NOT` binds closer than `AND`, and `AND` closer than `OR`.

use super::lexer::{Fault, Token, tokens};
use super::{Compare, Filter, Flag, Match, Number, Test, Text};

/// Brackets and `NOT`s within each other.
const MAX_DEPTH: usize = 32;
/// Bytes of an expression; X-Ray takes 2,000.
const MAX_LEN: usize = 2000;

const FLAGS: [(&str, Flag); 5] = [
    ("ok", Flag::Ok),
    ("error", Flag::Error),
    ("fault", Flag::Fault),
    ("throttle", Flag::Throttle),
    ("partial", Flag::Partial),
];
const NUMBERS: [(&str, Number); 3] = [
    ("responsetime", Number::ResponseTime),
    ("duration", Number::Duration),
    ("http.status", Number::HttpStatus),
];
const TEXTS: [(&str, Text); 5] = [
    ("http.url", Text::Url),
    ("http.method", Text::Method),
    ("http.useragent", Text::UserAgent),
    ("http.clientip", Text::ClientIp),
    ("user", Text::User),
];
const COMPARES: [(&str, Compare); 6] = [
    ("=", Compare::Equal),
    ("!=", Compare::NotEqual),
    ("<", Compare::Less),
    ("<=", Compare::LessOrEqual),
    (">", Compare::More),
    (">=", Compare::MoreOrEqual),
];
const MATCHES: [(&str, Match); 3] = [
    ("contains", Match::Contains),
    ("beginswith", Match::BeginsWith),
    ("endswith", Match::EndsWith),
];
const KNOWN: &str = "here are ok, error, fault, throttle, partial, responsetime, duration, \
    http.status, http.url, http.method, http.useragent, http.clientip, user, service(\"name\") and \
    annotation.key";

/// Reads a whole expression.
pub(super) fn parse(text: &str) -> Result<Filter, Fault> {
    if text.len() > MAX_LEN {
        return Err(Fault { at: MAX_LEN, what: format!("longer than {MAX_LEN} bytes") });
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0 };
    if parser.peek() == &Token::End {
        return Ok(Filter::All(Vec::new()));
    }
    let filter = parser.any(0)?;
    match parser.peek() {
        Token::End => Ok(filter),
        _ => Err(parser.fault("AND, OR or the end is wanted")),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
}

fn find<T: Copy>(list: &[(&str, T)], word: &str) -> Option<T> {
    list.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, value)| *value)
}

// === impl Parser ===

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn fault(&self, what: impl Into<String>) -> Fault {
        let at = self.tokens.get(self.next).map_or(0, |(at, _)| *at);
        Fault { at, what: what.into() }
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if w.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(s) if *s == sign);
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> Result<(), Fault> {
        let found = self.takes_sign(sign);
        found.then_some(()).ok_or_else(|| self.fault(format!("{sign} is wanted")))
    }

    fn text(&mut self) -> Result<String, Fault> {
        let Token::Text(text) = self.peek() else {
            return Err(self.fault("a text in double quotes is wanted"));
        };
        let text = text.clone();
        self.next += 1;
        Ok(text)
    }

    /// `a OR b OR c`
    fn any(&mut self, depth: usize) -> Result<Filter, Fault> {
        let mut parts = vec![self.all(depth)?];
        while self.takes_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Filter::Any(parts) })
    }

    /// `a AND b AND c`
    fn all(&mut self, depth: usize) -> Result<Filter, Fault> {
        let mut parts = vec![self.one(depth)?];
        while self.takes_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Filter::All(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Filter, Fault> {
        if depth >= MAX_DEPTH {
            return Err(self.fault(format!("nested deeper than {MAX_DEPTH}")));
        }
        if self.takes_sign("!") || self.takes_word("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes_sign("(") {
            let inner = self.any(depth + 1)?;
            self.sign(")")?;
            return Ok(inner);
        }
        let Token::Word(word) = self.peek().clone() else {
            return Err(self.fault(format!("a condition is wanted; {KNOWN}")));
        };
        self.condition(&word, depth)
    }

    fn condition(&mut self, word: &str, depth: usize) -> Result<Filter, Fault> {
        let flag = find(&FLAGS, word);
        let number = find(&NUMBERS, word);
        let text = find(&TEXTS, word);
        let annotation = word.strip_prefix("annotation.");
        if word.eq_ignore_ascii_case("service") {
            self.next += 1;
            return self.service(depth);
        }
        if word == "annotation" || annotation.is_some_and(|key| !key.is_empty()) {
            self.next += 1;
            return self.annotation(annotation);
        }
        if flag.is_none() && number.is_none() && text.is_none() {
            return Err(self.fault(format!("{word:?} is not known; {KNOWN}")));
        }
        self.next += 1;
        match (flag, number, text) {
            (Some(flag), ..) => self.flag(flag),
            (_, Some(number), _) => {
                let compare = self.compare()?;
                Ok(Filter::Number(number, compare, self.number()?))
            }
            (.., Some(text)) => {
                let matches = self.matches()?;
                Ok(Filter::Text(text, matches, self.text()?))
            }
            _ => Err(self.fault(KNOWN)),
        }
    }

    /// `error`, `error = true`, `error != true`
    fn flag(&mut self, flag: Flag) -> Result<Filter, Fault> {
        let is = Filter::Flag(flag);
        let equal = self.takes_sign("=");
        if !equal && !self.takes_sign("!=") {
            return Ok(is);
        }
        let wanted = self.boolean().ok_or_else(|| self.fault("true or false is wanted"))?;
        Ok(if wanted == equal { is } else { Filter::Not(Box::new(is)) })
    }

    /// `("name")`, `("name") { condition }`
    fn service(&mut self, depth: usize) -> Result<Filter, Fault> {
        self.sign("(")?;
        let name = self.text()?;
        self.sign(")")?;
        if !self.takes_sign("{") {
            return Ok(Filter::Service(name, None));
        }
        let condition = self.any(depth + 1)?;
        self.sign("}")?;
        Ok(Filter::Service(name, Some(Box::new(condition))))
    }

    /// `.key = value`, `[key] = value`
    fn annotation(&mut self, key: Option<&str>) -> Result<Filter, Fault> {
        let key = match key {
            Some(key) => key.to_owned(),
            None => {
                self.sign("[")?;
                let key = match self.peek().clone() {
                    Token::Word(key) | Token::Text(key) => key,
                    _ => return Err(self.fault("the key of an annotation is wanted")),
                };
                self.next += 1;
                self.sign("]")?;
                key
            }
        };
        let word = matches!(self.peek(), Token::Word(w) if find(&MATCHES, w).is_some());
        let sign = matches!(self.peek(), Token::Sign(s) if find(&COMPARES, s).is_some());
        let test = if word || sign { Some(self.test()?) } else { None };
        Ok(Filter::Annotation(key, test))
    }

    fn test(&mut self) -> Result<Test, Fault> {
        let operator = self.next;
        self.next += 1;
        if let Some(wanted) = self.boolean() {
            let after = std::mem::replace(&mut self.next, operator);
            let equal = self.takes_sign("=");
            if !equal && !self.takes_sign("!=") {
                return Err(self.fault("true and false are compared with = or !="));
            }
            self.next = after;
            return Ok(Test::Bool(wanted == equal));
        }
        let is_number = matches!(self.peek(), Token::Number(_));
        self.next = operator;
        if is_number {
            let compare = self.compare()?;
            return Ok(Test::Number(compare, self.number()?));
        }
        let matches = self.matches()?;
        Ok(Test::Text(matches, self.text()?))
    }

    fn boolean(&mut self) -> Option<bool> {
        let wanted = self.takes_word("true");
        (wanted || self.takes_word("false")).then_some(wanted)
    }

    fn compare(&mut self) -> Result<Compare, Fault> {
        let found = match self.peek() {
            Token::Sign(sign) => find(&COMPARES, sign),
            _ => None,
        };
        let found = found.ok_or_else(|| self.fault("one of = != < <= > >= is wanted"))?;
        self.next += 1;
        Ok(found)
    }

    fn number(&mut self) -> Result<f64, Fault> {
        let Token::Number(number) = *self.peek() else {
            return Err(self.fault("a number is wanted"));
        };
        self.next += 1;
        Ok(number)
    }

    fn matches(&mut self) -> Result<Match, Fault> {
        let found = match self.peek() {
            Token::Sign("=") => Some(Match::Equal),
            Token::Sign("!=") => Some(Match::NotEqual),
            Token::Word(word) => find(&MATCHES, word),
            _ => None,
        };
        let what = "one of = != CONTAINS BEGINSWITH ENDSWITH is wanted";
        let found = found.ok_or_else(|| self.fault(what))?;
        self.next += 1;
        Ok(found)
    }
}
