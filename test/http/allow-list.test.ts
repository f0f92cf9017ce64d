/** Which hosts and addresses http actions may call. */
import { describe, expect, test } from "bun:test";
import { isPublic } from "../../src/http/addresses.ts";
import { AllowList, hostOf as hostOfUrl, isAllowEntry } from "../../src/http/allow-list.ts";

const hostOf = (url: string) => hostOfUrl(new URL(url));

describe("addresses", () => {
  test.each([
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.19.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::a00:1",
    "fc00::1",
    "fe80::1",
    "ff02::1",
    "2001:db8::1",
    "2002:a00:1::",
  ])("%s is not public", (address) => {
    expect(isPublic(address)).toBe(false);
  });

  test.each(["1.1.1.1", "172.15.0.1", "172.32.0.1", "::ffff:8.8.8.8", "2606:4700::1111"])(
    "%s is public",
    (address) => {
      expect(isPublic(address)).toBe(true);
    },
  );
});

describe("a list", () => {
  test("that is empty permits no host", () => {
    const list = new AllowList([]);
    expect(list.permitsHost("example.com")).toBe(false);
    expect(list.permitsHost("1.1.1.1")).toBe(false);
  });

  test("of names permits these, in any letter case, and no others", () => {
    const list = new AllowList(["API.example.com", "*.example.org"]);
    expect(list.permitsHost(hostOf("http://api.EXAMPLE.com./"))).toBe(true);
    expect(list.permitsHost("a.b.example.org")).toBe(true);
    for (const host of ["example.com", "example.org", "notexample.org", "api.example.com.evil.net"])
      expect(list.permitsHost(host)).toBe(false);
    expect(list.permitsAddress("1.1.1.1")).toBe(true);
    expect(list.permitsAddress("10.0.0.1")).toBe(false);
  });

  test("of all permits what is public", () => {
    const list = new AllowList(["*"]);
    expect(list.permitsHost("anything.example")).toBe(true);
    expect(list.permitsHost("1.1.1.1")).toBe(true);
    for (const url of [
      "http://127.1/",
      "http://0x7f.1/",
      "http://[::1]/",
      "http://169.254.169.254/",
    ])
      expect(list.permitsHost(hostOf(url))).toBe(false);
    expect(list.permitsAddress("192.168.0.1")).toBe(false);
  });

  test("of networks permits their addresses, by themselves and behind names", () => {
    const list = new AllowList(["billing.internal", "10.0.0.0/8", "fd00::/8", "192.168.7.7"]);
    expect(list.permitsHost(hostOf("http://10.9.8.7/"))).toBe(true);
    expect(list.permitsHost(hostOf("http://[fd00::5]/"))).toBe(true);
    expect(list.permitsHost(hostOf("http://[::ffff:10.0.0.1]/"))).toBe(true);
    expect(list.permitsHost("192.168.7.7")).toBe(true);
    expect(list.permitsHost("192.168.7.8")).toBe(false);
    expect(list.permitsHost("other.internal")).toBe(false);
    expect(list.permitsAddress("10.0.0.1")).toBe(true);
  });

  test("with localhost permits this machine, which no other name may stand for", () => {
    const list = new AllowList(["localhost"]);
    expect(list.permitsHost("localhost")).toBe(true);
    expect(list.permitsAddress("127.0.0.53")).toBe(true);
    expect(list.permitsAddress("::1")).toBe(true);
    expect(list.permitsHost("localhost.example.com")).toBe(false);
  });
});

test("entries are names, addresses, networks or all", () => {
  for (const entry of ["*", "a", "a.example.com", "*.example.com", "10.0.0.0/8", "::1", "fd00::/8"])
    expect([entry, isAllowEntry(entry)]).toEqual([entry, true]);
  const wrong = ["", "*.", "a:80", "http://a", "10.0.0.0/33", "10.0.0.0/", "10.0.0", "a/8", "*.*"];
  for (const entry of wrong) expect([entry, isAllowEntry(entry)]).toEqual([entry, false]);
});
