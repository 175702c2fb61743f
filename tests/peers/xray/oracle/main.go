// Reads lines of {"request": OTLP/JSON, "options": {...}} and answers each with a line of segment
// documents, as the collector's awsxray exporter makes them.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"go.opentelemetry.io/collector/featuregate"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/internal/translator"
)

type options struct {
	Indexed   []string `json:"indexed_attributes"`
	IndexAll  bool     `json:"index_all_attributes"`
	LogGroups []string `json:"aws_log_groups"`
	Validate  bool     `json:"validate_timestamps"`
	NoDots    bool     `json:"no_dots"`
}

type input struct {
	Request json.RawMessage `json:"request"`
	Options options         `json:"options"`
}

type answer struct {
	// One result per repetition.
	Runs []run `json:"runs"`
}

type run struct {
	Documents []string `json:"documents"`
	Errors    []string `json:"errors"`
	Crash     string   `json:"crash,omitempty"`
}

// As extractResourceSpans of the exporter, which is not public.
func documents(o options, td ptrace.Traces) (out run) {
	defer func() {
		if r := recover(); r != nil {
			out = run{Crash: fmt.Sprint(r)}
		}
	}()
	out.Documents, out.Errors = []string{}, []string{}
	for i := 0; i < td.ResourceSpans().Len(); i++ {
		rs := td.ResourceSpans().At(i)
		for j := 0; j < rs.ScopeSpans().Len(); j++ {
			spans := rs.ScopeSpans().At(j).Spans()
			for k := 0; k < spans.Len(); k++ {
				docs, err := translator.MakeSegmentDocuments(spans.At(k), rs.Resource(),
					o.Indexed, o.IndexAll, o.LogGroups, !o.Validate)
				if err != nil {
					out.Errors = append(out.Errors, err.Error())
					continue
				}
				out.Documents = append(out.Documents, docs...)
			}
		}
	}
	return out
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 || err != nil {
			return
		}
		var i input
		if err := json.Unmarshal(line, &i); err != nil {
			panic(err)
		}
		if err := featuregate.GlobalRegistry().Set("exporter.xray.allowDot", !i.Options.NoDots); err != nil {
			panic(err)
		}
		var a answer
		for n := 0; n < 6; n++ {
			// Fresh each time: bool in-progress marks are taken out of the data.
			td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(i.Request)
			if err != nil {
				panic(err)
			}
			a.Runs = append(a.Runs, documents(i.Options, td))
		}
		text, _ := json.Marshal(a)
		out.Write(text)
		out.WriteByte('\n')
		out.Flush()
	}
}
