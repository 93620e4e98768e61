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
  after = [service.s8]
}
service "s8" {
  image = image.web
  after = [service.s9]
}
service "s9" {
  image = image.web
  after = [service.s10]
}
service "s10" {
  image = image.web
  after = [service.s11]
}
service "s11" {
  image = image.web
  after = [service.s12]
}
service "s12" {
  image = image.web
  after = [service.s13]
}
service "s13" {
  image = image.web
  after = [service.s14]
}
service "s14" {
  image = image.web
  after = [service.s15]
}
service "s15" {
  image = image.web
  after = [service.s16]
}
service "s16" {
  image = image.web
  after = [service.s17]
}
service "s17" {
  image = image.web
  after = [service.s18]
}
service "s18" {
  image = image.web
  after = [service.s19]
}
service "s19" {
  image = image.web
  after = [service.s0]
}
