// Does the tasks of an action that is delivered to a topic of Kafka: short work, with the ticket alone.
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.net.URI;
import java.net.http.*;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.serialization.StringDeserializer;

public class Ship {
  static final ObjectMapper json = new ObjectMapper();
  static final HttpClient http = HttpClient.newHttpClient();
  static final URI orchy = URI.create(System.getenv().getOrDefault("ORCHY", "http://localhost:8080"));

  static JsonNode ship(JsonNode parameters) {
    return json.createObjectNode().put("shipped", parameters.get("sku").asText());
  }

  /** Ends the attempt with its output; a repeat changes nothing. */
  static String complete(JsonNode offer) throws Exception {
    ObjectNode body = json.createObjectNode().put("ticket", offer.get("ticket").asText());
    body.set("output", ship(offer.get("parameters")));
    var request = HttpRequest.newBuilder(orchy.resolve("/v1/tasks/complete"))
        .header("content-type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(body.toString())).build();
    var answer = http.send(request, HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 200) throw new IllegalStateException(answer.body());
    return json.readTree(answer.body()).get("status").asText();
  }

  public static void main(String[] topics) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", System.getenv("KAFKA"),
        "group.id", "shipping", "auto.offset.reset", "earliest", "enable.auto.commit", false);
    var text = new StringDeserializer();
    try (var consumer = new KafkaConsumer<>(settings, text, text)) {
      consumer.subscribe(List.of(topics));
      while (true) {
        for (var record : consumer.poll(Duration.ofSeconds(1))) {
          String status = complete(json.readTree(record.value()));
          // Paused: nothing behind it is done before that is resumed.
          while (status.equals("held")) {
            Thread.sleep(1_000);
            status = complete(json.readTree(record.value()));
          }
        }
        consumer.commitSync();
      }
    }
  }
}
