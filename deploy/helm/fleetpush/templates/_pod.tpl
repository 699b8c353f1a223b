{{/* A pod's template: (list $ arguments restartPolicy gracePeriod ports-and-probes) */}}
{{- define "fleetpush.pod" -}}
{{- $ := index . 0 -}}
metadata:
  labels:
    {{- toYaml (merge (fromYaml (include "fleetpush.selectorLabels" $)) $.Values.podLabels $.Values.commonLabels) | nindent 4 }}
  annotations:
    # Another file is another pod.
    checksum/config: {{ include "fleetpush.config" $ | sha256sum }}
    {{- with $.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with index . 2 }}
  restartPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ index . 3 }}
  {{- include "fleetpush.podSettings" $ | nindent 2 }}
  {{- with $.Values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: fleetpush
      {{- include "fleetpush.container" (list $ (index . 1) "/var/lib/fleetpush") | nindent 6 }}
      {{- with index . 4 }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      volumeMounts:
        {{- include "fleetpush.volumeMounts" $ | nindent 8 }}
        - name: queue
          mountPath: /var/lib/fleetpush
  volumes:
    {{- include "fleetpush.volumes" $ | nindent 4 }}
    - name: queue
      {{- if $.Values.persistence.enabled }}
      persistentVolumeClaim:
        claimName: {{ include "fleetpush.claimName" $ }}
      {{- else }}
      emptyDir: {}
      {{- end }}
{{- end -}}

{{- define "fleetpush.podSettings" -}}
serviceAccountName: {{ include "fleetpush.serviceAccountName" . }}
automountServiceAccountToken: {{ .Values.automountServiceAccountToken }}
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What every container of ours has: (list $ arguments queue-folder) */}}
{{- define "fleetpush.container" -}}
{{- $ := index . 0 -}}
image: {{ include "fleetpush.image" $ }}
imagePullPolicy: {{ $.Values.image.pullPolicy }}
args:
  {{- toYaml (concat (index . 1) $.Values.extraArgs) | nindent 2 }}
env:
  {{- if not $.Values.config.instance }}
  # The workload's name and not the pod's, which is another one each time.
  - name: FLEETPUSH_INSTANCE
    value: {{ include "fleetpush.fullname" $ }}
  {{- end }}
  - name: FLEETPUSH_CONFIG_FILE
    value: /etc/fleetpush/fleetpush.yml
  - name: BALENA_TOKEN_FILE
    value: /run/secrets/fleetpush/{{ $.Values.existingSecret.tokenKey }}
  - name: FLEETPUSH_QUEUE_DIR
    value: {{ index . 2 }}
  {{- with $.Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $.Values.securityContext | nindent 2 }}
{{- end -}}

{{- define "fleetpush.volumeMounts" -}}
- name: config
  mountPath: /etc/fleetpush
  readOnly: true
- name: secrets
  mountPath: /run/secrets/fleetpush
  readOnly: true
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "fleetpush.volumes" -}}
- name: config
  configMap:
    name: {{ include "fleetpush.fullname" . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "fleetpush.secretName" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
