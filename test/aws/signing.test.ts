/** Signatures, against the published test suite of AWS ("aws-sig-v4-test-suite"). */
import { expect, test } from "bun:test";
import { amzDate, Signer } from "../../src/aws/signing.ts";

const credentials = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const date = "20150830T123600Z";
const host = ["host", "example.amazonaws.com"] as const;
const dated = ["x-amz-date", date] as const;

test.each([
  [
    "get-vanilla",
    { method: "GET", path: "/", headers: [host, dated], body: "" },
    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
  ],
  [
    "get-utf8",
    { method: "GET", path: "/%E1%88%B4", headers: [host, dated], body: "" },
    "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
  ],
  [
    "post-vanilla",
    { method: "POST", path: "/", headers: [host, dated], body: "" },
    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
  ],
  [
    "post-header-key-sort",
    { method: "POST", path: "/", headers: [host, ["my-header1", "value1"], dated], body: "" },
    "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
  ],
  [
    "post-x-www-form-urlencoded",
    {
      method: "POST",
      path: "/",
      headers: [["content-type", "application/x-www-form-urlencoded"], host, dated],
      body: "Param1=value1",
    },
    "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
  ],
] as const)("%s", (_, request, signature) => {
  const signed = new Signer("us-east-1", "service").sign(request, credentials, date);
  const names = request.headers.map(([name]) => name).join(";");
  expect(signed).toBe(
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, " +
      `SignedHeaders=${names}, Signature=${signature}`,
  );
});

test("a key is made anew for another day and another secret", () => {
  const request = { method: "POST", path: "/", headers: [host, dated], body: "" };
  const signer = new Signer("us-east-1", "service");
  const others = [
    [credentials, "20150831T123600Z"],
    [{ ...credentials, secretAccessKey: "another" }, date],
    [credentials, date],
  ] as const;
  signer.sign(request, credentials, date);
  for (const [who, when] of others) {
    const fresh = new Signer("us-east-1", "service").sign(request, who, when);
    expect(signer.sign(request, who, when)).toBe(fresh);
  }
});

test("dates have the form of the header", () => {
  expect(amzDate(Date.UTC(2015, 7, 30, 12, 36, 0, 999))).toBe(date);
});
