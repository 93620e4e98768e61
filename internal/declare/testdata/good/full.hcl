/* Everything that may be written. */
stack "everything" {}

image "web" {
  from     = debian("bookworm")
  packages = ["libpq5", "ca-certificates"]
  copy {
    from = "bin/*"
    to   = "/app/"
    mode = "0755"
  }
  copy {
    from = "conf"
    to   = "/etc/app"
  }
  entrypoint = ["/app/web", "--verbose"]
  env        = { LANG = "C.UTF-8" }
}

service "web" {
  image     = image.web
  instances = 12
  standby   = 2
  max_age   = "7d"
  after     = [service.db, task.migrate]
  command   = ["/app/web"]
  writable  = ["/tmp", "/var/run"]

  env = {
    "LEVEL" = "info"
    DSN     = "postgres://app@${service.db.port.sql.address}/app?host=${service.db.port.sql.host}"
    BANNER  = <<-EOT
      Hello "world"
        at ${service.web.port.http.number}
    EOT
    PRICE = "$${not a reference}"
  }

  port "http" {
    number   = 8080
    protocol = "http"
  }
  port "metrics" {
    number   = 9090
    protocol = "http"
  }

  health {
    http {
      port = "metrics"
      path = "/ready?deep=1"
    }
    interval      = "500ms"
    timeout       = "250ms"
    ready_after   = 2
    unready_after = 3
    replace_after = "1m30s"
  }

  resources {
    memory = "1.5GiB"
    cpu    = "1.5"
    pids   = 64
  }

  update {
    strategy     = "rolling"
    surge        = 3
    unavailable  = 1
    canary       = 2
    bake         = "5m"
    promote      = "manual"
    warm         = "1h"
    start_within = "2m"
    grace        = "0s"
    tries        = 5
  }
}

service "worker" {
  image   = image.web
  max_age = never("it renders a film for weeks")
  instances {
    min = 2
    max = 10
  }
  update {
    canary = 1
  }
}

task "migrate" {
  image    = image.web
  command  = ["/app/web", "migrate", service.db.port.sql.address]
  env      = { DSN = "postgres://owner@${service.db.port.sql.address}/app" }
  writable = ["/tmp"]
  after    = [service.db]
  timeout  = "30m"
  tries    = 2
  grace    = "1m"
  resources {
    memory = "256MiB"
    cpu    = "1"
    pids   = 16
  }
}

task "greet" {
  image = image.web
  after = [task.migrate, service.web, service.worker]
}

service "db" {
  image     = image.web
  instances = 1
  command   = ["/usr/bin/db"]
  ports     = { sql = 5432 }
  health {
    exec {
      command = ["/usr/bin/db", "ping"]
    }
  }
  volume "data" {
    path = "/var/lib/db"
    size = "10GB"
  }
  volume "log" {
    path = "/var/log/db"
    size = "1TiB"
  }
  update {
    strategy    = "recreate"
    surge       = 0
    unavailable = 1
  }
}

route "example.org" {
  to = service.web.port.http
}
route "www.example.org" {
  to = (service.web.port.http)
}
allow {
  from = service.web
  to   = service.db.port.sql
}
allow {
  from = task.migrate
  to   = service.db.port.sql
}
allow {
  from = service.web
  to   = service.web.port.http
}
