//! Filter expressions of `GetTraceSummaries`: which traces are asked for.
//!
//! Source of the language:
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-console-filters.html>. Here are its parts
//! for looking around: `ok`, `error`, `fault`, `throttle`, `partial`; `responsetime`, `duration`,
//! `http.status`; `http.url`, `http.method`, `http.useragent`, `http.clientip`, `user`;
//! `service("name")`, with conditions on that service in braces; `annotation.key`; joined by `AND`,
//! `OR`, `NOT` and parentheses. Whatever else is in an expression is an error, never ignored.

mod lexer;
mod parser;

use serde_json::Value;

use super::document::Facts;
use super::store::Trace;

/// A condition on a trace, or on the documents of one of its services.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Flag(Flag),
    Number(Number, Compare, f64),
    Text(Text, Match, String),
    /// A service of this name is in the trace; its documents fulfil the condition.
    Service(String, Option<Box<Filter>>),
    /// Some document has the annotation, with such a value.
    Annotation(String, Option<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Ok,
    Error,
    Fault,
    Throttle,
    Partial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    ResponseTime,
    Duration,
    HttpStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Url,
    Method,
    UserAgent,
    ClientIp,
    User,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Equal,
    NotEqual,
    Contains,
    BeginsWith,
    EndsWith,
}

/// What an annotation's value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Bool(bool),
    Number(Compare, f64),
    Text(Match, String),
}

/// What a condition is about: a whole trace, or the documents of one service in it.
struct Subject<'a> {
    documents: Vec<&'a Facts>,
    /// Those that number and text conditions are about: a trace's root, or all of a service.
    entries: Vec<&'a Facts>,
    duration: f64,
}

// === impl Filter ===

impl Filter {
    /// Reads an expression; an empty one is all traces.
    ///
    /// # Errors
    /// What is wrong, where, and what could stand there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        parser::parse(text).map_err(|e| format!("FilterExpression at {}: {}", e.at, e.what))
    }

    /// Whether the trace is one of those asked for.
    pub(super) fn takes(&self, trace: &Trace) -> bool {
        let (start, end) = trace.span();
        let documents: Vec<_> = trace.facts().collect();
        let entries = documents.iter().filter(|f| f.parent.is_none()).copied().collect();
        self.holds(&Subject { documents, entries, duration: end - start })
    }

    fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|f| f.holds(subject)),
            Self::Any(any) => any.iter().any(|f| f.holds(subject)),
            Self::Not(not) => !not.holds(subject),
            Self::Flag(flag) => subject.flag(*flag),
            Self::Number(number, compare, than) => {
                subject.numbers(*number).any(|n| compare.holds(n, *than))
            }
            Self::Text(text, matches, with) => {
                subject.texts(*text).any(|text| matches.holds(text, with))
            }
            Self::Service(name, condition) => match subject.service(name) {
                Some(service) => condition.as_ref().is_none_or(|c| c.holds(&service)),
                None => false,
            },
            Self::Annotation(key, test) => {
                let mut values = subject.documents.iter().filter_map(|f| f.annotations.get(key));
                values.any(|value| test.as_ref().is_none_or(|test| test.holds(value)))
            }
        }
    }
}

// === impl Subject ===

impl<'a> Subject<'a> {
    fn flag(&self, flag: Flag) -> bool {
        let any = |is: fn(&Facts) -> bool| self.documents.iter().any(|f| is(f));
        match flag {
            Flag::Ok => !any(|f| f.error || f.fault || f.throttle),
            Flag::Error => any(|f| f.error),
            Flag::Fault => any(|f| f.fault),
            Flag::Throttle => any(|f| f.throttle),
            Flag::Partial => any(|f| f.end.is_none()),
        }
    }

    fn numbers(&self, number: Number) -> impl Iterator<Item = f64> {
        let of = move |facts: &&Facts| match number {
            Number::ResponseTime => facts.end.map(|end| end - facts.start),
            Number::HttpStatus => facts.http.response.status.map(|status| status as f64),
            Number::Duration => None,
        };
        let duration = (number == Number::Duration).then_some(self.duration);
        self.entries.iter().filter_map(of).chain(duration)
    }

    fn texts(&self, text: Text) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter_map(move |facts| {
            let request = &facts.http.request;
            match text {
                Text::Url => request.url.as_deref(),
                Text::Method => request.method.as_deref(),
                Text::UserAgent => request.user_agent.as_deref(),
                Text::ClientIp => request.client_ip.as_deref(),
                Text::User => facts.user.as_deref(),
            }
        })
    }

    fn service(&self, name: &str) -> Option<Subject<'a>> {
        let is_it = |f: &&&'a Facts| !f.is_subsegment && f.name == name;
        let documents: Vec<_> = self.documents.iter().filter(is_it).copied().collect();
        let entries = documents.clone();
        let found = Subject { documents, entries, duration: self.duration };
        (!found.documents.is_empty()).then_some(found)
    }
}

// === impl Compare ===

impl Compare {
    fn holds(self, n: f64, than: f64) -> bool {
        match self {
            Self::Equal => n == than,
            Self::NotEqual => n != than,
            Self::Less => n < than,
            Self::LessOrEqual => n <= than,
            Self::More => n > than,
            Self::MoreOrEqual => n >= than,
        }
    }
}

// === impl Match ===

impl Match {
    fn holds(self, text: &str, with: &str) -> bool {
        match self {
            Self::Equal => text == with,
            Self::NotEqual => text != with,
            Self::Contains => text.contains(with),
            Self::BeginsWith => text.starts_with(with),
            Self::EndsWith => text.ends_with(with),
        }
    }
}

// === impl Test ===

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(wanted), Value::Bool(is)) => wanted == is,
            (Self::Number(compare, than), Value::Number(n)) => {
                n.as_f64().is_some_and(|n| compare.holds(n, *than))
            }
            (Self::Text(matches, with), Value::String(text)) => matches.holds(text, with),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
