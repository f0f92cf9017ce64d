package orchy.example;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import java.util.List;
import java.util.Map;
import orchy.v1.Worker.ActionDefinition;
import orchy.v1.Worker.Failure;
import orchy.v1.Worker.Task;
import orchy.v1.Worker.TaskResult;

/** The actions of the example worker, and their rules. */
final class Actions {
  private Actions() {}

  interface Action {
    Value run(Map<String, Value> parameters) throws Failed, InterruptedException;
  }

  /** A failure with a code of its own. */
  static final class Failed extends Exception {
    final Failure failure;

    Failed(String code, String message, boolean retryable) {
      super(message);
      failure =
          Failure.newBuilder().setCode(code).setMessage(message).setRetryable(retryable).build();
    }
  }

  static final List<ActionDefinition> DEFINITIONS = List.of(
      ActionDefinition.newBuilder()
          .setName("greet").setRetryCount(1).setRetryAfterSeconds(0.1).build(),
      ActionDefinition.newBuilder().setName("charge").build(),
      ActionDefinition.newBuilder().setName("count").setHeartbeatSeconds(2).build());

  static final Map<String, Action> ALL =
      Map.of("greet", Actions::greet, "charge", Actions::charge, "count", Actions::count);

  static TaskResult run(Task task) throws InterruptedException {
    var result = TaskResult.newBuilder().setToken(task.getToken());
    try {
      result.setOutput(ALL.get(task.getAction()).run(task.getParameters().getFieldsMap()));
    } catch (Failed failed) {
      result.setFailure(failed.failure);
    } catch (RuntimeException error) {
      result.setFailure(Failure.newBuilder().setMessage(error.toString()));
    }
    return result.build();
  }

  private static Value greet(Map<String, Value> parameters) throws Failed {
    var name = parameters.get("name");
    if (name == null) throw new Failed("NO_NAME", "There is nobody to greet.", true);
    return text("Hello, " + name.getStringValue() + "!");
  }

  private static Value charge(Map<String, Value> parameters) throws Failed {
    var amount = parameters.get("amount");
    if (amount.getNumberValue() > 1000) {
      throw new Failed("CARD_DECLINED", "The card does not cover it.", false);
    }
    var charged = Struct.newBuilder().putFields("charged", amount);
    return Value.newBuilder().setStructValue(charged).build();
  }

  private static Value count(Map<String, Value> parameters) throws InterruptedException {
    var seconds = parameters.get("seconds");
    Thread.sleep((long) (seconds.getNumberValue() * 1000));
    return seconds;
  }

  private static Value text(String value) {
    return Value.newBuilder().setStringValue(value).build();
  }
}
