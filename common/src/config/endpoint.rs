//! `host:port` texts.

use super::item::Item;

/// Address for Go's `:4317`, all interfaces.
const ALL: &str = "0.0.0.0";

/// An address to listen on; `:4317` becomes `0.0.0.0:4317`. `None` after an error.
pub(super) fn listen(item: &Item<'_>) -> Option<String> {
    let text = item.string()?;
    let full = if text.starts_with(':') { format!("{ALL}{text}") } else { text };
    check(item, &full).then_some(full)
}

/// An address to connect to, without scheme. `None` after an error.
pub(super) fn connect(item: &Item<'_>, text: &str) -> Option<String> {
    check(item, text).then(|| text.to_owned())
}

/// Whether `text` is `host:port` or `[ip]:port`.
pub fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let port_ok = port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit());
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let host_ok = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inner) => {
            let ip = inner.split('%').next().unwrap_or(inner);
            ip.parse::<std::net::Ipv6Addr>().is_ok()
        }
        None => !host.is_empty() && host.chars().all(plain),
    };
    port_ok && host_ok
}

/// Whether what goes to this `host:port` stays on this machine.
pub(super) fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn check(item: &Item<'_>, text: &str) -> bool {
    let good = is_host_port(text);
    if !good {
        let what = format!("{text:?} is not host:port");
        item.error(&what, "write host:port, such as localhost:4317 or [::1]:4317");
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for text in ["localhost:4317", "127.0.0.1:0", "[::1]:4317", "a-b_c.d:65535"] {
            assert!(is_host_port(text), "{text}");
        }
        for text in [
            "",
            "localhost",
            "localhost:",
            ":4317",
            "h:70000",
            "h:+1",
            "::1:4317",
            "a/b:1",
            "[x]:1",
        ] {
            assert!(!is_host_port(text), "{text}");
        }
    }
}
