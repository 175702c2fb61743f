// The order of tests/clients/order.rs, traced by the Go SDK as its variables say.
//
// Prints name -> [trace id, span id, parent's span id] of what it made; fails when an export did.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type order struct {
	tracer trace.Tracer
	made   map[string][3]string
}

// start begins a span under the one in the context and remembers its ids.
func (o *order) start(
	above context.Context, name string, kind trace.SpanKind, more ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	parent := ""
	if span := trace.SpanContextFromContext(above); span.IsValid() {
		parent = span.SpanID().String()
	}
	ctx, span := o.tracer.Start(above, name, append(more, trace.WithSpanKind(kind))...)
	ids := span.SpanContext()
	o.made[name] = [3]string{ids.TraceID().String(), ids.SpanID().String(), parent}
	return ctx, span
}

func (o *order) run(items int) {
	root := context.Background()
	_, visit := o.start(root, "visit", trace.SpanKindServer)
	visit.End()
	ctx, buy := o.start(root, "POST /buy", trace.SpanKindServer)
	buy.SetAttributes(
		attribute.String("http.request.method", "POST"),
		attribute.Int("http.response.status_code", 402),
		attribute.Bool("shop.member", true),
		attribute.Float64("shop.total", 12.5),
		attribute.StringSlice("shop.items", []string{"tea", "K\u00e4se \u2615"}),
	)
	link := trace.WithLinks(trace.Link{SpanContext: visit.SpanContext()})
	_, charge := o.start(ctx, "charge", trace.SpanKindClient, link)
	charge.AddEvent("retry", trace.WithAttributes(attribute.Int("attempt", 2)))
	charge.End()
	_, prices := o.start(ctx, "prices", trace.SpanKindInternal)
	prices.End()
	buy.SetStatus(codes.Error, "card declined")
	buy.End()
	for n := range items {
		_, item := o.start(root, fmt.Sprintf("GET /item/%d", n), trace.SpanKindServer)
		item.SetAttributes(attribute.Int("item", n))
		item.End()
	}
}

func client() otlptrace.Client {
	if os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" {
		return otlptracegrpc.NewClient()
	}
	return otlptracehttp.NewClient()
}

func main() {
	var lock sync.Mutex
	var failures []error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		lock.Lock()
		defer lock.Unlock()
		failures = append(failures, err)
	}))
	ctx := context.Background()
	exporter, err := otlptrace.New(ctx, client())
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter), sdk.WithResource(resource.Default()))
	items, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	tracer := provider.Tracer("shop", trace.WithInstrumentationVersion("1.0"))
	o := order{tracer: tracer, made: map[string][3]string{}}
	o.run(items)
	if err := provider.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(o.made); err != nil {
		log.Fatal(err)
	}
	lock.Lock()
	defer lock.Unlock()
	if len(failures) > 0 {
		log.Fatalf("failed exports: %v", failures)
	}
}
