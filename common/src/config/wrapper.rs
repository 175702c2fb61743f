//! Files in which a configuration is wrapped: what they are, and where in them it is.

use super::source::Mark;
use super::tree::{Entry, Node, TreeError, Value};

/// Keys by which the files of other programs are known.
const OTHERS: &[(&[&str], &str)] = &[
    (&["apiVersion", "kind"], "a resource of Kubernetes"),
    (&["services"], "a compose file"),
    (&["containerDefinitions"], "a task definition of ECS"),
    (&["name", "image"], "a list of containers"),
    (&["Resources"], "a CloudFormation template"),
    (&["config"], "values of a Helm chart"),
    (&["alternateConfig"], "values of a Helm chart"),
];
const ALONE: &str = "give --config the collector's configuration alone; in a container that has it \
    in a variable, --config env:AOT_CONFIG_CONTENT";

/// Texts by which files are known that are no YAML, or not yet.
const NOT_YAML: &[(&str, &str)] = &[
    ("AWSTemplateFormatVersion", "this is a CloudFormation template"),
    ("\nresource \"", "this is Terraform"),
    ("\nlocals {", "this is Terraform"),
    ("{{", "this looks like a template: render it first, as with helm template"),
];

/// The error in a text that is no YAML, with what the text is if that is known.
pub(super) fn explain(error: TreeError, text: &str) -> TreeError {
    let text = format!("\n{text}");
    let Some((_, what)) = NOT_YAML.iter().find(|(part, _)| text.contains(part)) else {
        return error;
    };
    TreeError { help: format!("{what}; {ALONE}"), ..error }
}

/// What is wrong with documents that are no configuration and have one in them, or may have.
pub(super) fn find(documents: &[Node]) -> Option<TreeError> {
    if documents.iter().any(is_own) {
        return None;
    }
    documents.iter().find_map(within).or_else(|| documents.iter().find_map(other))
}

fn within(root: &Node) -> Option<TreeError> {
    let (path, mark, variable) = search(root, root.mark, String::new(), None)?;
    let variable = variable.map(|name| format!("; in its container, --config env:{name}"));
    let variable = variable.unwrap_or_default();
    let what = known(root).map(|(_, what)| format!(": this looks like {what}")).unwrap_or_default();
    let help = format!("give --config what is below {path} alone{variable}{what}");
    let message = format!("{path}: a configuration wrapped in something else");
    Some(TreeError { at_key: true, ..TreeError::new(mark, message, help) })
}

fn other(root: &Node) -> Option<TreeError> {
    let (entry, what) = known(root)?;
    let message = format!("{}: this is {what}, not a collector's configuration", entry.key);
    Some(TreeError { at_key: true, ..TreeError::new(entry.mark, message, ALONE) })
}

/// What a file of another program is, and the key that tells.
fn known(root: &Node) -> Option<(&Entry, &'static str)> {
    let node = match &root.value {
        Value::List(items) => items.first()?,
        _ => root,
    };
    let (keys, what) =
        OTHERS.iter().find(|(keys, _)| keys.iter().all(|k| get(node, k).is_some()))?;
    Some((get(node, keys[0])?, what))
}

/// Whether a configuration begins here, or a part of one.
fn is_own(root: &Node) -> bool {
    has_pipelines(root)
        || ["receivers", "processors", "exporters"].iter().any(|key| get(root, key).is_some())
}

fn has_pipelines(node: &Node) -> bool {
    get(node, "service").is_some_and(|service| get(&service.node, "pipelines").is_some())
}

fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Entry> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|e| e.key == key)
}

/// Path and place of the first configuration below `node`, and the variable that holds it, if it
/// is one of a container. Recursion is as deep as the tree, which is bounded.
fn search(
    node: &Node,
    mark: Mark,
    path: String,
    variable: Option<&str>,
) -> Option<(String, Mark, Option<String>)> {
    let found = match &node.value {
        Value::Null => false,
        Value::Scalar(text) => text.contains("receivers") && text.contains("pipelines"),
        Value::List(items) => {
            let mut items = items.iter().enumerate();
            return items.find_map(|(i, n)| search(n, n.mark, format!("{path}[{i}]"), None));
        }
        Value::Map(entries) => {
            let has = |key| get(node, key).is_some_and(|e| matches!(e.node.value, Value::Map(_)));
            if has_pipelines(node) || (has("receivers") && has("exporters")) {
                true
            } else {
                let dot = if path.is_empty() { "" } else { "." };
                let name = get(node, "name").and_then(|name| match &name.node.value {
                    Value::Scalar(name) => Some(name.as_str()),
                    _ => None,
                });
                return entries.iter().find_map(|e| {
                    let upper = |c: char| c.is_ascii_uppercase() || c == '_';
                    let itself = e.key.chars().all(upper).then_some(e.key.as_str());
                    let variable = if e.key == "value" { name } else { itself };
                    search(&e.node, e.mark, format!("{path}{dot}{}", e.key), variable)
                });
            }
        }
    };
    found.then(|| (path, mark, variable.map(str::to_owned)))
}
