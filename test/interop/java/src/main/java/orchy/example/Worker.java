package orchy.example;

import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import orchy.v1.Worker.CompleteRequest;
import orchy.v1.Worker.HeartbeatItem;
import orchy.v1.Worker.HeartbeatRequest;
import orchy.v1.Worker.HeartbeatStatus;
import orchy.v1.Worker.PollRequest;
import orchy.v1.Worker.RegisterActionsRequest;
import orchy.v1.Worker.ReleaseRequest;
import orchy.v1.Worker.Task;
import orchy.v1.Worker.TaskResult;
import orchy.v1.WorkerServiceGrpc;
import orchy.v1.WorkerServiceGrpc.WorkerServiceBlockingStub;

/** A worker that speaks gRPC: java orchy.example.Worker localhost:8099 */
public final class Worker {
  private final WorkerServiceBlockingStub service;
  private final ExecutorService pool = Executors.newCachedThreadPool();
  private final ScheduledExecutorService clock = Executors.newScheduledThreadPool(2);
  private volatile boolean stopping;

  private Worker(ManagedChannel channel) {
    service = WorkerServiceGrpc.newBlockingStub(channel);
  }

  public static void main(String[] arguments) throws Exception {
    var channel = Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
    var worker = new Worker(channel);
    var main = Thread.currentThread();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      worker.stopping = true;
      main.interrupt(); // Ends a poll that waits, and interrupts the actions.
      try {
        main.join();
      } catch (InterruptedException ignored) {
        // The process ends.
      }
    }));
    worker.work();
  }

  private void work() {
    List<TaskResult> results = List.of();
    var registered = false;
    while (!stopping) {
      try {
        if (!registered) {
          var rules = RegisterActionsRequest.newBuilder().addAllActions(Actions.DEFINITIONS);
          service.registerActions(rules.build());
          registered = true;
        }
        var poll = PollRequest.newBuilder().addAllActions(Actions.ALL.keySet()).setMaxTasks(10)
            .setWaitSeconds(20).setWorkerId("java").setHeartbeats(true).addAllResults(results);
        results = run(service.poll(poll.build()).getTasksList());
      } catch (StatusRuntimeException error) {
        if (stopping) break;
        System.err.println(error); // The results are still here; sent twice, they count once.
        pause(500);
      }
    }
    Thread.interrupted();
    service.withDeadlineAfter(5, TimeUnit.SECONDS)
        .complete(CompleteRequest.newBuilder().addAllResults(results).build());
    pool.shutdown();
    clock.shutdown();
  }

  /** Runs a batch side by side; what was interrupted is given back, and has no result. */
  private List<TaskResult> run(List<Task> tasks) {
    var running = new ArrayList<Future<TaskResult>>();
    for (var task : tasks) {
      System.out.println(task.getAction() + ", attempt " + task.getAttempt());
      Callable<TaskResult> action = () -> Actions.run(task);
      running.add(pool.submit(action));
    }
    var results = new ArrayList<TaskResult>();
    for (var index = 0; index < tasks.size(); index++) {
      var task = tasks.get(index);
      var future = running.get(index);
      var beatMs = task.getHeartbeatMs() / 3;
      var beats = clock.scheduleAtFixedRate(
          () -> beat(task, future), beatMs, beatMs, TimeUnit.MILLISECONDS);
      try {
        results.add(future.get());
      } catch (Exception interrupted) { // Released: of no effect on one that was cancelled.
        future.cancel(true);
        Thread.interrupted();
        service.release(ReleaseRequest.newBuilder().addTokens(task.getToken()).build());
      } finally {
        beats.cancel(false);
      }
    }
    return results;
  }

  /** Tells the server that the task is alive, and interrupts it when nobody needs it any more. */
  private void beat(Task task, Future<?> running) {
    var item = HeartbeatItem.newBuilder().setToken(task.getToken());
    try {
      var answer = service.heartbeat(HeartbeatRequest.newBuilder().addTasks(item).build());
      var extended = HeartbeatStatus.HEARTBEAT_STATUS_EXTENDED;
      if (answer.getStatuses(0) != extended) running.cancel(true);
    } catch (StatusRuntimeException error) {
      System.err.println(error); // The next beat may come through.
    }
  }

  private static void pause(long ms) {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException stop) {
      Thread.currentThread().interrupt();
    }
  }
}
