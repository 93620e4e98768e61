stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "s0" {
  image = image.web
  after = [service.s1]
}
service "s1" {
  image = image.web
  after = [service.s2]
}
service "s2" {
  image = image.web
  after = [service.s3]
}
service "s3" {
  image = image.web
  after = [service.s4]
}
service "s4" {
  image = image.web
  after = [service.s5]
}
service "s5" {
  image = image.web
  after = [service.s6]
}
service "s6" {
  image = image.web
  after = [service.s7]
}
service "s7" {
  image = image.web
  after = [service.s0]
}
