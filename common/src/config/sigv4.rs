//! `sigv4auth`: requests that are signed for AWS, and for whom.

use http::Uri;

use super::http_client::OtlpHttpClient;
use super::reader::Reader;
use crate::client::Compression;

/// `sigv4auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigV4 {
    /// The Region of the service; empty: as the URL says.
    pub region: String,
    /// The service; empty: as the URL says.
    pub service: String,
    /// `assume_role`, if it has an `arn`.
    pub role: Option<AssumeRole>,
}

/// `assume_role`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumeRole {
    /// The role.
    pub arn: String,
    /// The session's name; empty: ours.
    pub session_name: String,
    /// The Region whose STS is asked; empty: that of the service.
    pub sts_region: String,
    /// What the role asks for; empty: nothing.
    pub external_id: String,
}

/// For which service, where, a signature is good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Such as `us-east-1`; empty if nothing says it.
    pub region: String,
    /// Such as `xray`; empty if nothing says it.
    pub service: String,
}

/// Services whose hosts begin with their name or what they call it, then the Region: by the
/// collector's `sigv4auth`.
const SERVICES: [(&str, &str); 4] =
    [("aps-workspaces", "aps"), ("search-", "es"), ("logs", "logs"), ("xray", "xray")];
const AWS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
const WEB_IDENTITY: &str = "leave it out, and set AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: \
                            the credentials come from there then";

// === impl SigV4 ===

impl SigV4 {
    pub(super) fn read(r: &Reader<'_>) -> Option<Self> {
        r.refuse(&["assume_role_with_web_identity"], WEB_IDENTITY);
        let role = r.map_or_empty("assume_role");
        role.refuse(&["web_identity_token_file"], WEB_IDENTITY);
        let text = |r: &Reader<'_>, key| r.string_or(key, "");
        let assumed = AssumeRole {
            arn: text(&role, "arn"),
            session_name: text(&role, "session_name"),
            sts_region: text(&role, "sts_region"),
            external_id: text(&role, "external_id"),
        };
        if assumed.arn.is_empty() && !assumed.external_id.is_empty() {
            role.error("external_id", "is there, but no role", "give arn too");
        }
        let role = Some(assumed).filter(|role| !role.arn.is_empty());
        Some(Self { region: text(r, "region"), service: text(r, "service"), role })
    }

    /// For what requests to `url` are signed.
    pub fn scope(&self, url: &str) -> Scope {
        let uri: Option<Uri> = url.parse().ok();
        let found = uri.as_ref().and_then(Uri::host).and_then(Scope::of_host).unwrap_or_default();
        let or = |given: &String, found| if given.is_empty() { found } else { given.clone() };
        Scope { region: or(&self.region, found.region), service: or(&self.service, found.service) }
    }

    /// What cannot be done for this client, and the remedy.
    pub(super) fn faults(&self, client: &OtlpHttpClient) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        let scope = self.scope(&client.url);
        if scope.region.is_empty() {
            let what = "has no region, and the URL says none";
            faults.push((what, "set its region, such as us-east-1"));
        }
        if scope.service.is_empty() {
            let what = "has no service, and the URL says none";
            faults.push((what, "set its service, such as xray"));
        }
        let takes = matches!(client.compression, Compression::Gzip | Compression::None);
        if scope.is_xray() && !takes {
            let what = "signs for X-Ray, which takes no compression but gzip";
            faults.push((what, "set the exporter's compression to gzip or none"));
        }
        faults
    }
}

// === impl Scope ===

impl Scope {
    /// It is X-Ray's OTLP endpoint, which has limits of its own.
    pub fn is_xray(&self) -> bool {
        self.service == "xray"
    }

    fn of_host(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let labels = AWS.iter().find_map(|domain| host.strip_suffix(domain))?;
        let mut labels = labels.split('.');
        let (name, region) = (labels.next()?, labels.next()?);
        let (_, service) = SERVICES.iter().find(|(begin, _)| name.starts_with(begin))?;
        Some(Self { region: region.to_owned(), service: (*service).to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(region: &str, service: &str, url: &str) -> (String, String) {
        let (region, service) = (region.to_owned(), service.to_owned());
        let Scope { region, service } = SigV4 { region, service, role: None }.scope(url);
        (region, service)
    }

    #[test]
    fn hosts_say_region_and_service() {
        for (url, region, service) in [
            ("https://xray.us-east-1.amazonaws.com/v1/traces", "us-east-1", "xray"),
            ("https://XRay.eu-west-1.AmazonAWS.com:443/v1/traces", "eu-west-1", "xray"),
            ("https://xray.cn-north-1.amazonaws.com.cn/v1/traces", "cn-north-1", "xray"),
            ("https://xray-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", "xray"),
            ("https://xray.eu-central-1.api.aws/v1/traces", "eu-central-1", "xray"),
            ("https://aps-workspaces.us-west-2.amazonaws.com/workspaces/w", "us-west-2", "aps"),
            ("https://search-my.us-west-2.es.amazonaws.com/x", "us-west-2", "es"),
            ("https://logs.us-west-2.amazonaws.com/v1/logs", "us-west-2", "logs"),
            ("https://vpce-1-x.xray.us-east-1.vpce.amazonaws.com/v1/traces", "", ""),
            ("https://xray.amazonaws.com/v1/traces", "", ""),
            ("https://xray.us-east-1.example.com/v1/traces", "", ""),
            ("https://xray.us-east-1.evilamazonaws.com/v1/traces", "", ""),
            ("http://127.0.0.1:4318", "", ""),
            ("no url", "", ""),
        ] {
            let (region, service) = (region.to_owned(), service.to_owned());
            assert_eq!(scope("", "", url), (region, service), "{url}");
        }
    }

    #[test]
    fn what_is_configured_goes_before_what_the_host_says() {
        let url = "https://xray.us-east-1.amazonaws.com/v1/traces";
        assert_eq!(scope("a", "", url), ("a".to_owned(), "xray".to_owned()));
        assert_eq!(scope("", "b", url), ("us-east-1".to_owned(), "b".to_owned()));
        assert_eq!(scope("a", "b", "http://h"), ("a".to_owned(), "b".to_owned()));
    }
}
