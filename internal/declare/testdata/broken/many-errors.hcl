stack "shop" {}
image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to   = "/web"
  }
}
service "web0" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20000
}
service "web1" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20001
}
service "web2" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20002
}
service "web3" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20003
}
service "web4" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20004
}
service "web5" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20005
}
service "web6" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20006
}
service "web7" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20007
}
service "web8" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20008
}
service "web9" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20009
}
service "web10" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20010
}
service "web11" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20011
}
service "web12" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20012
}
service "web13" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20013
}
service "web14" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20014
}
service "web15" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20015
}
service "web16" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20016
}
service "web17" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20017
}
service "web18" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20018
}
service "web19" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20019
}
service "web20" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20020
}
service "web21" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20021
}
service "web22" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20022
}
service "web23" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20023
}
service "web24" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20024
}
service "web25" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20025
}
service "web26" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20026
}
service "web27" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20027
}
service "web28" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20028
}
service "web29" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20029
}
service "web30" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20030
}
service "web31" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20031
}
service "web32" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20032
}
service "web33" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20033
}
service "web34" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20034
}
service "web35" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20035
}
service "web36" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20036
}
service "web37" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20037
}
service "web38" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20038
}
service "web39" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20039
}
service "web40" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20040
}
service "web41" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20041
}
service "web42" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20042
}
service "web43" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20043
}
service "web44" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20044
}
service "web45" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20045
}
service "web46" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20046
}
service "web47" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20047
}
service "web48" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20048
}
service "web49" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20049
}
service "web50" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20050
}
service "web51" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20051
}
service "web52" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20052
}
service "web53" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20053
}
service "web54" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20054
}
service "web55" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20055
}
service "web56" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20056
}
service "web57" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20057
}
service "web58" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20058
}
service "web59" {
  image = image.web
  ports = { http = 8080 }
  health = http("/healthz")
  instances = 20059
}
