{{- define "tocsin.selector" -}}
app.kubernetes.io/name: tocsin
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
{{ include "tocsin.otherLabels" . }}
{{- end }}

{{- define "tocsin.backupLabels" -}}
app.kubernetes.io/name: tocsin-backup
app.kubernetes.io/instance: {{ .Release.Name }}
{{ include "tocsin.otherLabels" . }}
{{- end }}

{{- define "tocsin.otherLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
