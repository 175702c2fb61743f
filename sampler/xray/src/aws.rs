//! The `aws` block: what the resource says (written once, see `resource`), and the AWS call that
//! the span made.

use tailgate_proto::view::Value;

use crate::attrs::{Attrs, str_of};
use crate::escaped::plain_len;
use crate::json::Json;
use crate::keys::Key;
use crate::resource::Resource;
use crate::stable;

/// More than what any platform says of itself; a brief document goes without.
const MAX_BRIEF_PLATFORM: usize = 4096;

/// Writes the block, if the resource is not in another cloud. `call` says whether what belongs to
/// the span's AWS call is written too.
pub(crate) fn write(json: &mut Json, attrs: &Attrs<'_>, resource: &Resource<'_>, call: bool) {
    let Some(platform) = resource.aws() else { return };
    json.open("aws");
    if !(json.brief && plain_len(platform) > MAX_BRIEF_PLATFORM) {
        json.buf.extend_from_slice(platform);
    }
    if call {
        write_call(json, attrs, resource);
    }
    json.raw("}");
}

fn write_call(json: &mut Json, attrs: &Attrs<'_>, resource: &Resource<'_>) {
    let account = match attrs.last(Key::AwsAccountId) {
        None | Some(Value::Empty) => resource.attrs.last_str(Key::CloudAccountId),
        Some(value) => str_of(value),
    };
    json.field_or_omit("account_id", account);
    if attrs.is_stable() {
        stable::write_aws_call(json, attrs);
    } else {
        let operation = attrs.last(Key::AwsOperation).or(attrs.last(Key::RpcMethod));
        json.field_or_omit("operation", operation.map(str_of).unwrap_or_default());
        json.field_or_omit("region", attrs.last_str(Key::AwsRegion));
    }
    let request_id = attrs.last_of(Key::AwsRequestId, Key::AwsRequestIdCamel);
    json.field_or_omit("request_id", request_id.map(str_of).unwrap_or_default());
    let queue = || attrs.last_of(Key::AwsQueueUrl, Key::AwsQueueUrlDot);
    let sqs = attrs.is_stable().then(|| attrs.last(Key::SqsQueueUrl)).flatten();
    let queue = attrs.last(Key::MessagingUrl).or(sqs).or_else(queue);
    json.field_or_omit("queue_url", queue.map(str_of).unwrap_or_default());
    write_tables(json, attrs);
}

fn write_tables(json: &mut Json, attrs: &Attrs<'_>) {
    let table = match attrs.last(Key::AwsTableNames) {
        Some(Value::Str(name)) => Some(*name),
        Some(Value::Array(names)) => {
            let mut rest = names.clone();
            let first = rest.next();
            if rest.next().is_some() {
                json.key("table_names");
                json.raw("[");
                let start = json.buf.len();
                for name in names.clone() {
                    if json.is_full(start) {
                        break;
                    }
                    json.separate();
                    json.string(str_of(&name));
                }
                json.raw("]");
                return;
            }
            first.as_ref().map(str_of)
        }
        _ => None,
    };
    let other = || attrs.last_of(Key::AwsTableName, Key::AwsTableNameDot).map(str_of);
    json.field_or_omit("table_name", table.or_else(other).unwrap_or_default());
}
