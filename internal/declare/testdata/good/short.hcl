# The shortest useful stack.
stack "hello" {}

image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "web"
    to   = "/"
  }
}

service "web" {
  image  = image.web
  ports  = { http = 8080 }
  health = http("/")
}

route "hello.localhost" {
  to = service.web.port.http
}
