stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "a" {
  image = image.web
  after = [service.b]
}
service "b" {
  image = image.web
  after = [service.c]
}
service "c" {
  image = image.web
  after = [service.d, service.b]
}
service "d" {
  image = image.web
}
