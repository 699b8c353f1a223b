//! What Kubernetes is given: the kustomize overlays by kubectl, the chart by helm, each by an old release and a recent
//! one; held to the schemas, to rules of our own, and run as the kubelet would run them.

mod chart;
mod container;
mod cron;
mod docs;
mod manifests;
mod pod;
mod policy;
mod render;
mod rules;
mod runs;
mod words;
