/*
** The connections of the module mongo. The library's own wait on through any
** signal; these end at Ctrl-C, and at once where the client is being closed.
**
** A server whose machine vanished is noticed by TCP within GONE_MS; one that is
** only slow has the URI's socketTimeoutMS.
*/
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "interrupt.h"
#include "mongo_handles.h"

enum {
    STREAM_TYPE = 0x4547,   /* none of the library's */
    GONE_MS = 10000,        /* data that is not acknowledged so long ends a connection */
    CLOSING_MS = 1000,      /* what a client that is being closed waits for its farewell */
    MAX_IOVECS = 16,        /* of one sendmsg() */
    DEFAULT_WAIT_MS = 60000 /* where the library names no limit */
};

typedef struct stream {
    mongoc_stream_t base;
    eg_mongo_client *owner;
    int fd;
    int error; /* errno of the last call that failed */
} stream;

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t deadline_of(const eg_mongo_client *owner, int32_t timeout_ms) {
    if (timeout_ms < 0) {
        timeout_ms = DEFAULT_WAIT_MS;
    }
    if (owner->is_closing && timeout_ms > CLOSING_MS) {
        timeout_ms = CLOSING_MS;
    }
    return now_ms() + timeout_ms;
}

/* Waits for an event of one connection: false with errno set where it does not come. */
static bool wait_for(int fd, short events, int64_t deadline_ms) {
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = deadline_ms - now_ms();
        int n = eg_lua_interrupt_poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
        if (n > 0) {
            return true;
        }
        if (n == 0) {
            errno = ETIMEDOUT;
            return false;
        }
        if (errno != EINTR || eg_lua_interrupt_pending()) {
            return false;
        }
    }
}

/* ---- reading and writing ---- */

static ssize_t failed(stream *s, int error) {
    if (error != EAGAIN && error != EWOULDBLOCK) {
        s->owner->is_broken = true;
    }
    s->error = error;
    errno = error;
    return -1;
}

/* What is left of iov[0..n) behind its first `done` bytes, up to MAX_IOVECS
** pieces; returns how many. */
static size_t rest_of(const mongoc_iovec_t *iov, size_t n, size_t done, struct iovec *rest) {
    size_t n_rest = 0;
    for (size_t i = 0; i < n && n_rest < MAX_IOVECS; i++) {
        if (done >= iov[i].iov_len) {
            done -= iov[i].iov_len;
            continue;
        }
        rest[n_rest].iov_base = (char *)iov[i].iov_base + done;
        rest[n_rest++].iov_len = iov[i].iov_len - done;
        done = 0;
    }
    return n_rest;
}

static ssize_t s_writev(mongoc_stream_t *base, mongoc_iovec_t *iov, size_t n, int32_t timeout_ms) {
    stream *s = (stream *)base;
    int64_t deadline_ms = deadline_of(s->owner, timeout_ms);
    struct iovec rest[MAX_IOVECS];
    size_t done = 0;
    struct msghdr message = {.msg_iov = rest};
    while ((message.msg_iovlen = rest_of(iov, n, done, rest)) > 0) {
        if (eg_lua_interrupt_pending()) {
            return failed(s, EINTR);
        }
        ssize_t sent = sendmsg(s->fd, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            done += (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (timeout_ms == 0 && done > 0) {
                break;
            }
            if (timeout_ms == 0 || !wait_for(s->fd, POLLOUT, deadline_ms)) {
                return failed(s, errno);
            }
        } else if (errno != EINTR) {
            return failed(s, errno);
        }
    }
    s->error = 0;
    return (ssize_t)done;
}

static ssize_t s_readv(mongoc_stream_t *base, mongoc_iovec_t *iov, size_t n, size_t min_bytes,
                       int32_t timeout_ms) {
    stream *s = (stream *)base;
    int64_t deadline_ms = deadline_of(s->owner, timeout_ms);
    struct iovec rest[MAX_IOVECS];
    size_t done = 0;
    struct msghdr message = {.msg_iov = rest};
    while ((message.msg_iovlen = rest_of(iov, n, done, rest)) > 0) {
        if (eg_lua_interrupt_pending()) {
            return failed(s, EINTR);
        }
        ssize_t got = recvmsg(s->fd, &message, 0);
        if (got > 0) {
            done += (size_t)got;
            if (done >= min_bytes) {
                break;
            }
        } else if (got == 0) {
            return done >= min_bytes ? (ssize_t)done : failed(s, ECONNRESET);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (timeout_ms == 0 || !wait_for(s->fd, POLLIN, deadline_ms)) {
                return failed(s, errno);
            }
        } else if (errno != EINTR) {
            return failed(s, errno);
        }
    }
    s->error = 0;
    return (ssize_t)done;
}

static int s_flush(mongoc_stream_t *base) {
    (void)base;
    return 0;
}

static int s_setsockopt(mongoc_stream_t *base, int level, int name, void *value,
                        mongoc_socklen_t n) {
    return setsockopt(((stream *)base)->fd, level, name, value, n);
}

static bool s_check_closed(mongoc_stream_t *base) {
    char byte;
    ssize_t n = recv(((stream *)base)->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static bool s_timed_out(mongoc_stream_t *base) {
    return ((stream *)base)->error == ETIMEDOUT;
}

static bool s_should_retry(mongoc_stream_t *base) {
    int error = ((stream *)base)->error;
    return error == EAGAIN || error == EWOULDBLOCK || error == EINPROGRESS;
}

static int s_close(mongoc_stream_t *base) {
    stream *s = (stream *)base;
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
    return 0;
}

static void s_destroy(mongoc_stream_t *base) {
    s_close(base);
    free(base);
}

/* After Ctrl-C every connection is told as broken: the library would otherwise
** ask again until its time is over. */
static ssize_t s_poll(mongoc_stream_poll_t *streams, size_t n, int32_t timeout_ms) {
    struct pollfd few[16], *fds = n <= 16 ? few : calloc(n, sizeof *fds);
    if (!fds) {
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        fds[i] = (struct pollfd){.fd = ((stream *)streams[i].stream)->fd,
                                 .events = (short)streams[i].events};
    }
    ssize_t ready = eg_lua_interrupt_poll(fds, n, timeout_ms);
    bool is_broken = ready < 0 && eg_lua_interrupt_pending();
    for (size_t i = 0; i < n; i++) {
        streams[i].revents = is_broken ? POLLERR | POLLHUP : ready > 0 ? fds[i].revents : 0;
    }
    if (fds != few) {
        int saved_errno = errno;
        free(fds);
        errno = saved_errno;
    }
    return is_broken ? (ssize_t)n : ready;
}

/* ---- connecting ---- */

static void tune(int fd) {
    const int on = 1, idle_s = GONE_MS / 1000, every_s = GONE_MS / 5000, n_tries = 5,
              gone_ms = GONE_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &n_tries, sizeof n_tries);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof gone_ms);
}

/* A connected socket, or -1 with errno. */
static int connect_to(int family, const struct sockaddr *address, socklen_t n_bytes,
                      int64_t deadline_ms) {
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (family != AF_UNIX) {
        tune(fd);
    }
    int error = 0;
    socklen_t n_error = sizeof error;
    if (connect(fd, address, n_bytes) != 0) {
        if (errno != EINPROGRESS || !wait_for(fd, POLLOUT, deadline_ms) ||
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n_error) != 0) {
            error = errno;
        }
    }
    if (error) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int connect_unix(const char *path, int64_t deadline_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    return connect_to(AF_UNIX, (const struct sockaddr *)&address, sizeof address, deadline_ms);
}

/* Tries the addresses of a name one after the other. */
static int connect_tcp(const mongoc_host_list_t *host, int64_t deadline_ms, bson_error_t *error) {
    char port[8];
    struct addrinfo hints = {.ai_family = host->family, .ai_socktype = SOCK_STREAM}, *list = NULL;
    snprintf(port, sizeof port, "%u", (unsigned)host->port);
    int rc = getaddrinfo(host->host, port, &hints, &list);
    if (rc != 0) {
        bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_NAME_RESOLUTION, "%s: %s",
                       host->host, gai_strerror(rc));
        return -1;
    }
    int fd = -1, last = 0;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = connect_to(a->ai_family, a->ai_addr, a->ai_addrlen, deadline_ms);
        last = errno;
    }
    freeaddrinfo(list);
    if (fd < 0) {
        bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT, "%s: %s",
                       host->host_and_port, strerror(last));
    }
    return fd;
}

/* Wraps a connection in TLS as the URI wants it; takes `base`. */
static mongoc_stream_t *start_tls(mongoc_stream_t *base, const mongoc_uri_t *uri,
                                  const mongoc_host_list_t *host, int32_t timeout_ms,
                                  bson_error_t *error) {
    mongoc_ssl_opt_t options = *mongoc_ssl_opt_get_default();
    bool is_insecure = mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSINSECURE, false);
    options.ca_file = mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, NULL);
    options.pem_file = mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE, NULL);
    options.pem_pwd =
        mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD, NULL);
    options.weak_cert_validation =
        mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES, is_insecure);
    options.allow_invalid_hostname =
        mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES, is_insecure);
    mongoc_stream_t *tls = mongoc_stream_tls_new_with_hostname(base, host->host, &options, 1);
    if (!tls) {
        mongoc_stream_destroy(base);
        bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
                       "%s: TLS cannot be set up with these certificate files",
                       host->host_and_port);
    } else if (!mongoc_stream_tls_handshake_block(tls, host->host, timeout_ms, error)) {
        mongoc_stream_destroy(tls);
        tls = NULL;
    }
    return tls;
}

static mongoc_stream_t *stream_of(int fd, eg_mongo_client *owner) {
    stream *s = calloc(1, sizeof *s);
    if (!s) {
        close(fd);
        return NULL;
    }
    s->base = (mongoc_stream_t){
        .type = STREAM_TYPE,
        .destroy = s_destroy,
        .failed = s_destroy,
        .close = s_close,
        .flush = s_flush,
        .writev = s_writev,
        .readv = s_readv,
        .setsockopt = s_setsockopt,
        .check_closed = s_check_closed,
        .poll = s_poll,
        .timed_out = s_timed_out,
        .should_retry = s_should_retry,
    };
    s->owner = owner;
    s->fd = fd;
    return &s->base;
}

mongoc_stream_t *eg_mongo_connect(const mongoc_uri_t *uri, const mongoc_host_list_t *host,
                                  void *user_data, bson_error_t *error) {
    eg_mongo_client *owner = user_data;
    int32_t timeout_ms = mongoc_uri_get_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, -1);
    int64_t deadline_ms = deadline_of(owner, timeout_ms);
    int fd;
    if (host->family == AF_UNIX) {
        fd = connect_unix(host->host, deadline_ms);
        if (fd < 0) {
            bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT, "%s: %s",
                           host->host, strerror(errno));
        }
    } else {
        fd = connect_tcp(host, deadline_ms, error);
    }
    if (fd < 0) {
        return NULL;
    }
    mongoc_stream_t *s = stream_of(fd, owner);
    if (!s) {
        bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT,
                       "not enough memory");
        return NULL;
    }
    return mongoc_uri_get_tls(uri) ? start_tls(s, uri, host, timeout_ms, error) : s;
}
