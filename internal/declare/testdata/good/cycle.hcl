// Services may know each other, and themselves: names are no order of starting.
stack "ring" {}

image "node" {
  from     = debian("bookworm")
  packages = ["ca-certificates", "libstdc++6"]
}

service "a" {
  image   = image.node
  command = ["/node", "--peer=${service.b.port.raft.address}", "--me", service.a.port.raft.address]
  ports   = { raft = 7000 }
  health  = tcp("raft")
}

service "b" {
  image   = image.node
  command = ["/node", "--host", service.a.port.raft.host, "--port", "${service.a.port.raft.number}"]
  ports   = { raft = 7000 }
  health  = exec(["/node", "check"])
}

allow {
  from = service.a
  to   = service.b.port.raft
}

allow {
  from = service.b
  to   = service.a.port.raft
}

allow {
  from = service.a
  to   = service["a"].port.raft
}
