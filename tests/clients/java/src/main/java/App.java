import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

/**
 * The order of tests/clients/order.rs, traced by the Java SDK as its variables say.
 *
 * <p>Prints name -> [trace id, span id, parent's span id] of what it made; fails when an export
 * did.
 */
public final class App {
  private static final AtomicInteger FAILED = new AtomicInteger();
  private static final Map<String, List<String>> MADE = new TreeMap<>();

  /** Counts what failed: the SDK only logs it. */
  private record Watched(SpanExporter inner) implements SpanExporter {
    @Override
    public CompletableResultCode export(Collection<SpanData> spans) {
      CompletableResultCode result = inner.export(spans);
      result.whenComplete(() -> FAILED.addAndGet(result.isSuccess() ? 0 : 1));
      return result;
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }
  }

  private static Span start(Tracer tracer, String name, SpanKind kind, Span parent, Span link) {
    var builder = tracer.spanBuilder(name).setSpanKind(kind).setNoParent();
    if (parent != null) {
      builder.setParent(Context.root().with(parent));
    }
    if (link != null) {
      builder.addLink(link.getSpanContext());
    }
    Span span = builder.startSpan();
    var ids = span.getSpanContext();
    var above = parent == null ? "" : parent.getSpanContext().getSpanId();
    MADE.put(name, List.of(ids.getTraceId(), ids.getSpanId(), above));
    return span;
  }

  private static void order(Tracer tracer, int items) {
    Span visit = start(tracer, "visit", SpanKind.SERVER, null, null);
    visit.end();
    Span buy = start(tracer, "POST /buy", SpanKind.SERVER, null, null);
    buy.setAttribute("http.request.method", "POST");
    buy.setAttribute("http.response.status_code", 402);
    buy.setAttribute("shop.member", true);
    buy.setAttribute("shop.total", 12.5);
    buy.setAttribute(
        AttributeKey.stringArrayKey("shop.items"), List.of("tea", "K\u00e4se \u2615"));
    Span charge = start(tracer, "charge", SpanKind.CLIENT, buy, visit);
    charge.addEvent("retry", Attributes.of(AttributeKey.longKey("attempt"), 2L));
    charge.end();
    start(tracer, "prices", SpanKind.INTERNAL, buy, null).end();
    buy.setStatus(StatusCode.ERROR, "card declined");
    buy.end();
    for (int item = 0; item < items; item++) {
      Span span = start(tracer, "GET /item/" + item, SpanKind.SERVER, null, null);
      span.setAttribute("item", item);
      span.end();
    }
  }

  private static String json(List<String> ids) {
    return ids.stream().map(id -> '"' + id + '"').collect(Collectors.joining(",", "[", "]"));
  }

  public static void main(String[] args) {
    OpenTelemetrySdk sdk =
        AutoConfiguredOpenTelemetrySdk.builder()
            .addSpanExporterCustomizer((exporter, config) -> new Watched(exporter))
            .build()
            .getOpenTelemetrySdk();
    order(sdk.getTracer("shop", "1.0"), Integer.parseInt(args[0]));
    boolean closed = sdk.shutdown().join(30, TimeUnit.SECONDS).isSuccess();
    System.out.println(
        MADE.entrySet().stream()
            .map(e -> '"' + e.getKey() + "\":" + json(e.getValue()))
            .collect(Collectors.joining(",", "{", "}")));
    if (FAILED.get() > 0 || !closed) {
      System.err.println("failed exports: " + FAILED.get());
      System.exit(1);
    }
    // The sender's threads would stay for a minute.
    System.exit(0);
  }
}
