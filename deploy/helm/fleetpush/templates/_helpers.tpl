{{/* Names. Cut at 52 characters, the most that a CronJob may have. */}}
{{- define "fleetpush.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "fleetpush.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "fleetpush.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "fleetpush.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fleetpush.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "fleetpush.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "fleetpush.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "fleetpush.secretName" -}}
{{- default (include "fleetpush.fullname" .) .Values.existingSecret.name -}}
{{- end -}}

{{- define "fleetpush.claimName" -}}
{{- default (printf "%s-queue" (include "fleetpush.fullname" .)) .Values.persistence.existingClaim -}}
{{- end -}}

{{- define "fleetpush.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- $name := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (ne $registry "") -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Labels. */}}
{{- define "fleetpush.releaseLabels" -}}
app.kubernetes.io/name: {{ include "fleetpush.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Not of the pod that `helm test` starts: the service leads past it. */}}
{{- define "fleetpush.selectorLabels" -}}
{{ include "fleetpush.releaseLabels" . }}
app.kubernetes.io/component: collector
{{- end -}}

{{- define "fleetpush.labels" -}}
{{- $ours := dict
      "app.kubernetes.io/name" (include "fleetpush.name" .)
      "app.kubernetes.io/instance" .Release.Name
      "app.kubernetes.io/version" .Chart.AppVersion
      "app.kubernetes.io/managed-by" .Release.Service
      "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $ours .Values.commonLabels) -}}
{{- end -}}

{{/* metadata of an object: (list $ suffix namespace labels annotations) */}}
{{- define "fleetpush.metadata" -}}
{{- $ := index . 0 -}}
name: {{ include "fleetpush.fullname" $ }}{{ index . 1 }}
namespace: {{ default (include "fleetpush.namespace" $) (index . 2) }}
labels:
  {{- toYaml (merge (fromYaml (include "fleetpush.labels" $)) (index . 3)) | nindent 2 }}
{{- with index . 4 }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The file fleetpush.yml, which everybody can read who may read ConfigMaps. */}}
{{- define "fleetpush.config" -}}
{{- $file := toYaml .Values.config -}}
{{- with regexFind `(?m)^[ -]*(token|password|bearer_token|credentials):` $file -}}
{{- fail (printf "config has `%s`, a secret that would stand in a ConfigMap; put it into the Secret %s and name its file here, as `%s_file: /run/secrets/fleetpush/KEY`" (regexReplaceAll `[ :-]` . "") (include "fleetpush.secretName" $) (regexReplaceAll `[ :-]` . "")) -}}
{{- end -}}
{{- $file -}}
{{- end -}}

{{- define "fleetpush.job" -}}
{{- default "balena" .Values.config.job -}}
{{- end -}}

{{- define "fleetpush.instance" -}}
{{- default (include "fleetpush.fullname" .) .Values.config.instance -}}
{{- end -}}

{{/* The ports of the URLs and of the static targets in `config`, each once, as a list in JSON. */}}
{{- define "fleetpush.ports" -}}
{{- $sinks := concat (default list .Values.config.pushgateways) (default list .Values.config.remote_write) -}}
{{- $accounts := default list .Values.config.balena -}}
{{- if kindIs "map" $accounts -}}{{- $accounts = list $accounts -}}{{- end -}}
{{- $ports := list 443 -}}
{{- $jobs := default list .Values.config.scrape_configs -}}
{{- range concat $sinks $accounts $jobs -}}
{{- range compact (list .url .proxy_url) -}}
{{- $url := urlParse . -}}
{{- $port := regexFind `:[0-9]+$` $url.host | trimPrefix ":" -}}
{{- $ports = append $ports (int (default (ternary 80 443 (eq $url.scheme "http")) $port)) -}}
{{- end -}}
{{- end -}}
{{- range $jobs -}}
{{- $usual := ternary 443 80 (eq (default "http" .scheme) "https") -}}
{{- range default list .static_configs -}}
{{- range default list .targets -}}
{{- $ports = append $ports (int (default $usual (regexFind `:[0-9]+$` . | trimPrefix ":"))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* What cannot be meant. */}}
{{- define "fleetpush.checked" -}}
{{- if eq .Values.kind "CronJob" -}}
{{- if le (int .Values.cronJob.activeDeadlineSeconds) (int .Values.cronJob.onceDeadlineSeconds) -}}
{{- fail "cronJob.activeDeadlineSeconds must be more than cronJob.onceDeadlineSeconds, or Kubernetes ends a run before it has ended by itself" -}}
{{- end -}}
{{- if or .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "a CronJob serves no page that could be scraped: use kind: Deployment, or leave serviceMonitor and podMonitor off and deliver to a Pushgateway or by remote write" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor together scrape everything twice: enable one of them" -}}
{{- end -}}
{{- if and .Values.balenaToken .Values.existingSecret.name -}}
{{- fail "balenaToken and existingSecret.name are both set: keep one of them" -}}
{{- end -}}
{{- end -}}
