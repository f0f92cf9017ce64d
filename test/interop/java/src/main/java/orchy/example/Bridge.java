package orchy.example;

import com.google.common.util.concurrent.FutureCallback;
import com.google.common.util.concurrent.Futures;
import com.google.common.util.concurrent.ListenableFuture;
import com.google.common.util.concurrent.MoreExecutors;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.BufferedReader;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import orchy.v1.Worker.CompleteRequest;
import orchy.v1.Worker.HeartbeatRequest;
import orchy.v1.Worker.PollRequest;
import orchy.v1.Worker.RegisterActionsRequest;
import orchy.v1.Worker.ReleaseRequest;
import orchy.v1.WorkerServiceGrpc;
import orchy.v1.WorkerServiceGrpc.WorkerServiceFutureStub;

/**
 * Makes the calls that a test orders on standard input, a JSON object a line, over grpc-java, and
 * writes what came of each as a line on standard output. Arguments: address, and perhaps the files
 * of the certificate to trust, of the client's own and of its key.
 */
public final class Bridge {
  /** The console's own encoding follows the locale, and may know no more than ASCII. */
  private static final PrintStream OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

  private Bridge() {}

  public static void main(String[] arguments) throws Exception {
    // 10 s is the shortest interval that the library sends pings in.
    var channel = Grpc.newChannelBuilder(arguments[0], trusted(arguments))
        .keepAliveTime(10, TimeUnit.SECONDS).keepAliveTimeout(2, TimeUnit.SECONDS).build();
    var service = WorkerServiceGrpc.newFutureStub(channel);
    var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (var line = orders.readLine(); line != null; line = orders.readLine()) {
      run(service, JsonParser.parseString(line).getAsJsonObject());
    }
    System.exit(0);
  }

  private static ChannelCredentials trusted(String[] arguments) throws Exception {
    if (arguments.length < 2) return InsecureChannelCredentials.create();
    var trust = TlsChannelCredentials.newBuilder().trustManager(new File(arguments[1]));
    if (arguments.length > 3) trust.keyManager(new File(arguments[2]), new File(arguments[3]));
    return trust.build();
  }

  private static void run(WorkerServiceFutureStub service, JsonObject order) throws Exception {
    var stub = service;
    if (order.has("timeoutMs")) {
      stub = stub.withDeadlineAfter(order.get("timeoutMs").getAsLong(), TimeUnit.MILLISECONDS);
    }
    if (order.has("gzip") && order.get("gzip").getAsBoolean()) stub = stub.withCompression("gzip");
    var started = System.nanoTime();
    Futures.addCallback(
        call(stub, order.get("method").getAsString(), order.get("request").toString()),
        new FutureCallback<MessageOrBuilder>() {
          @Override
          public void onSuccess(MessageOrBuilder response) {
            try {
              var text = JsonFormat.printer().omittingInsignificantWhitespace().print(response);
              answer(order, started, "response", JsonParser.parseString(text).getAsJsonObject());
            } catch (Exception error) {
              onFailure(error);
            }
          }

          @Override
          public void onFailure(Throwable thrown) {
            var status = Status.fromThrowable(thrown);
            var error = new JsonObject();
            error.addProperty("code", status.getCode().name());
            error.addProperty("message", status.getDescription());
            answer(order, started, "error", error);
          }
        },
        MoreExecutors.directExecutor());
  }

  private static ListenableFuture<? extends MessageOrBuilder> call(
      WorkerServiceFutureStub stub, String method, String request) throws Exception {
    return switch (method) {
      case "RegisterActions" ->
          stub.registerActions(read(request, RegisterActionsRequest.newBuilder()).build());
      case "Poll" -> stub.poll(read(request, PollRequest.newBuilder()).build());
      case "Complete" -> stub.complete(read(request, CompleteRequest.newBuilder()).build());
      case "Heartbeat" -> stub.heartbeat(read(request, HeartbeatRequest.newBuilder()).build());
      case "Release" -> stub.release(read(request, ReleaseRequest.newBuilder()).build());
      default -> throw new IllegalArgumentException(method);
    };
  }

  private static <Builder extends Message.Builder> Builder read(String text, Builder builder)
      throws Exception {
    JsonFormat.parser().merge(text, builder);
    return builder;
  }

  private static void answer(JsonObject order, long started, String name, JsonObject value) {
    var done = new JsonObject();
    done.add("id", order.get("id"));
    done.addProperty("ms", (System.nanoTime() - started) / 1e6);
    done.add(name, value);
    synchronized (OUT) {
      OUT.println(done);
    }
  }
}
