//! What a resource adds to the documents of its spans, written once per resource.

use tailgate_proto::view::{ResourceView, Value};

use crate::Options;
use crate::annotate::Storage;
use crate::attrs::{Attrs, str_of};
use crate::json::Json;
use crate::keys::Key;
use crate::stack::Language;

/// A resource and the JSON made of it. Reused from one resource to the next.
#[derive(Debug, Default)]
pub(crate) struct Resource<'a> {
    pub(crate) attrs: Attrs<'a>,
    /// Attributes as annotations and metadata of segments, for spans that don't interfere.
    pub(crate) storage: Storage,
    pub(crate) origin: Option<&'static str>,
    pub(crate) language: Option<Language>,
    /// Members of the `aws` object, without braces.
    platform: Json,
    foreign_cloud: bool,
    /// The `service` object; empty if there is none.
    pub(crate) service: Json,
}

// === impl Resource ===

impl<'a> Resource<'a> {
    /// Replaces the contents.
    pub(crate) fn load(&mut self, view: ResourceView<'a>, options: &Options) {
        self.attrs.load(view.attributes());
        let provider = self.attrs.last_str(Key::CloudProvider);
        self.foreign_cloud = !provider.is_empty() && provider != b"aws";
        self.origin = origin(&self.attrs);
        self.language = Language::new(self.attrs.first_str(Key::SdkLanguage));
        self.service.clear();
        write_service(&mut self.service, &self.attrs);
        self.platform.clear();
        if !self.foreign_cloud {
            write_platform(&mut self.platform, &self.attrs);
            write_log_groups(&mut self.platform, &self.attrs, &options.aws_log_groups);
        }
        self.storage.load(&self.attrs, options);
    }

    /// Members of the `aws` object; none if the resource is in another cloud.
    pub(crate) fn aws(&self) -> Option<&[u8]> {
        (!self.foreign_cloud).then_some(&self.platform.buf)
    }

    pub(crate) fn service_name(&self) -> &'a [u8] {
        self.attrs.first_str(Key::ServiceName)
    }
}

fn origin(attrs: &Attrs<'_>) -> Option<&'static str> {
    if attrs.has(Key::CloudProvider) && attrs.first_str(Key::CloudProvider) != b"aws" {
        return None;
    }
    match attrs.first_str(Key::CloudPlatform) {
        b"aws_app_runner" => Some("AWS::AppRunner::Service"),
        b"aws_eks" => Some("AWS::EKS::Container"),
        b"aws_elastic_beanstalk" => Some("AWS::ElasticBeanstalk::Environment"),
        b"aws_ecs" => Some(match attrs.first_str(Key::EcsLaunchType) {
            b"ec2" => "AWS::ECS::EC2",
            b"fargate" => "AWS::ECS::Fargate",
            _ => "AWS::ECS::Container",
        }),
        b"aws_ec2" => Some("AWS::EC2::Instance"),
        _ => None,
    }
}

fn write_service(json: &mut Json, attrs: &Attrs<'_>) {
    let first_tag = match attrs.first(Key::ContainerImageTags) {
        Some(Value::Array(tags)) => tags.clone().next(),
        _ => None,
    };
    let version = attrs.first(Key::ServiceVersion).or(first_tag.as_ref());
    if let Some(version) = version.or(attrs.first(Key::ContainerImageTag)) {
        json.raw("{");
        json.field_or_omit("version", str_of(version));
        json.raw("}");
    }
}

fn write_platform(json: &mut Json, attrs: &Attrs<'_>) {
    let platform = attrs.last_str(Key::CloudPlatform);
    write_sdk(json, attrs);
    if platform == b"aws_ec2" || !attrs.last_str(Key::HostId).is_empty() {
        json.open("ec2");
        json.field_or_null("instance_id", attrs.last_str(Key::HostId));
        json.field_or_null("availability_zone", attrs.last_str(Key::CloudAvailabilityZone));
        json.field_or_null("instance_size", attrs.last_str(Key::HostType));
        json.field_or_null("ami_id", attrs.last_str(Key::HostImageId));
        json.raw("}");
    }
    if platform == b"aws_ecs" {
        write_ecs(json, attrs);
    }
    let instance = attrs.last_str(Key::ServiceInstanceId);
    if platform == b"aws_elastic_beanstalk" && !instance.is_empty() {
        json.open("elastic_beanstalk");
        json.field_or_null("environment_name", attrs.last_str(Key::ServiceNamespace));
        json.field_or_null("version_label", attrs.last_str(Key::ServiceVersion));
        let deployment = str::from_utf8(instance).ok().and_then(|text| text.parse().ok());
        json.field_int("deployment_id", deployment.unwrap_or(0));
        json.raw("}");
    }
    let cluster = attrs.last_str(Key::K8sClusterName);
    if platform == b"aws_eks" || !cluster.is_empty() {
        json.open("eks");
        json.field_or_null("cluster_name", cluster);
        json.field_or_null("pod", attrs.last_str(Key::K8sPodName));
        json.field_or_null("container_id", attrs.last_str(Key::ContainerId));
        json.raw("}");
    }
}

fn write_ecs(json: &mut Json, attrs: &Attrs<'_>) {
    // Of several container names the first that is not empty counts.
    let names = attrs.items().iter().filter(|attr| attr.known == Key::ContainerName);
    let name = names.map(|attr| str_of(&attr.value)).find(|name| !name.is_empty());
    json.open("ecs");
    json.field_or_omit("container", name.unwrap_or_default());
    json.field_or_omit("container_id", attrs.last_str(Key::ContainerId));
    json.field_or_omit("availability_zone", attrs.last_str(Key::CloudAvailabilityZone));
    json.field_or_omit("container_arn", attrs.last_str(Key::EcsContainerArn));
    json.field_or_omit("cluster_arn", attrs.last_str(Key::EcsClusterArn));
    json.field_or_omit("task_arn", attrs.last_str(Key::EcsTaskArn));
    json.field_or_omit("task_family", attrs.last_str(Key::EcsTaskFamily));
    json.field_or_omit("launch_type", attrs.last_str(Key::EcsLaunchType));
    json.raw("}");
}

fn write_sdk(json: &mut Json, attrs: &Attrs<'_>) {
    json.open("xray");
    let name = attrs.last_str(Key::SdkName);
    let language = attrs.last_str(Key::SdkLanguage);
    if !name.is_empty() {
        json.key("sdk");
        json.quote();
        json.part(name);
        if !language.is_empty() {
            json.raw(" for ");
            json.part(language);
        }
        json.quote();
    }
    json.field_or_omit("sdk_version", attrs.last_str(Key::SdkVersion));
    let auto = attrs.last_of(Key::AutoVersion, Key::DistroVersion);
    json.field_bool("auto_instrumentation", auto.is_some_and(|auto| !str_of(auto).is_empty()));
    json.raw("}");
}

/// `cloudwatch_logs`, from the first of three sources that has any.
fn write_log_groups(json: &mut Json, attrs: &Attrs<'_>, configured: &[String]) {
    let start = json.buf.len();
    json.key("cloudwatch_logs");
    json.raw("[");
    let empty = json.buf.len();
    each_log_group(attrs.last(Key::LogGroupArns), |arn| {
        json.separate();
        json.raw("{");
        json.field_or_omit("arn", arn);
        json.field_or_null("log_group", arn.split(|&b| b == b':').nth(6).unwrap_or(arn));
        json.raw("}");
    });
    if json.buf.len() == empty {
        each_log_group(attrs.last(Key::LogGroupNames), |name| write_log_group(json, name));
    }
    if json.buf.len() == empty {
        configured.iter().for_each(|name| write_log_group(json, name.as_bytes()));
    }
    if json.buf.len() == empty {
        json.buf.truncate(start);
    } else {
        json.raw("]");
    }
}

fn write_log_group(json: &mut Json, name: &[u8]) {
    json.separate();
    json.raw("{");
    json.field_or_null("log_group", name);
    json.raw("}");
}

fn each_log_group(value: Option<&Value<'_>>, mut f: impl FnMut(&[u8])) {
    match value {
        Some(Value::Str(text)) => {
            text.split(|&b| b == b'&').filter(|name| !name.is_empty()).for_each(f);
        }
        Some(Value::Array(names)) => names.clone().for_each(|name| f(str_of(&name))),
        _ => {}
    }
}
