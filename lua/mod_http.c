/*
** The module `http`: libmicrohttpd, driven by the script's own loop. Nothing
** happens between two calls of server:run(), so one Lua state is enough.
**
** Two frames that must not see each other's jumps: libmicrohttpd calls us, we
** call Lua. Everything of Lua happens inside `answer`, which runs under
** lua_pcall; what the library lends for the time of a call is copied into C
** memory before.
**
** A client that sends or takes its bytes one by one is alive for the library,
** whose timeouts know idleness only. So every connection has a deadline of its
** own: for its request to be whole, for its answer to be taken. Passing it, or
** being the oldest to wait when all places are taken, shuts its socket down.
*/
#include "mod_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lua_type.h"
#include "system_failure.h"

#define SERVER_TYPE "earlgrey.http_server"

enum { MAX_HEADERS = 64, LISTEN_BACKLOG = 511, SWEEP_MS = 250 };

/* Bodies that are too large are read to their end up to here, so that the client reads the answer
** instead of finding its connection reset. */
#define MAX_DISCARDED_BYTES (32u << 20)

static const char OUT_OF_ORDER[] =
    "{\"message\":\"Internal error\",\"description\":\"The server's log tells more\"}\n";

/* User values of a server. */
enum { HANDLER = 1, LOG = 2, N_VALUES = 2 };

typedef struct http_server http_server;

/* An open connection. */
typedef struct http_peer {
    http_server *server;
    struct http_peer *next, **prev; /* list of the server's, newest first */
    int fd;
    int64_t deadline_ms; /* when it is cut off */
    bool is_waiting;     /* for (the rest of) a request */
    char address[INET6_ADDRSTRLEN];
} http_peer;

struct http_server {
    struct MHD_Daemon *daemon; /* NULL: not yet open, or closed */
    http_peer *peers;          /* open connections */
    lua_State *running;        /* thread that is inside run(); NULL outside */
    int self_index;            /* this userdata on that thread's stack */
    bool is_listening;
    int port;
    int64_t swept_ms;      /* when deadlines were last looked at */
    lua_Integer n_peers;   /* open connections */
    lua_Integer max_peers; /* places for them */
    lua_Integer body_bytes;
    lua_Integer request_ms; /* for a request to arrive */
    lua_Integer idle_ms;    /* between two requests */
    lua_Integer answer_ms;  /* for an answer to be taken */
};

typedef struct http_request {
    char *target; /* as sent: path and query, nothing decoded */
    char *body;
    size_t n_body, body_capacity;
    uint64_t n_discarded;
    bool has_begun, is_too_large;
    struct MHD_Response *response; /* made, not yet queued */
    unsigned status;
} http_request;

typedef struct http_header {
    const char *name, *value;
} http_header;

/* What `answer` is told. */
typedef struct http_call {
    http_request *request;
    const char *method, *address;
    http_header headers[MAX_HEADERS];
    int n_headers;
    bool has_more_headers;
} http_call;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t now_ms(void) {
    return now_us() / 1000;
}

/* ---- connections and their deadlines ---- */

static void cut_off(http_peer *peer) {
    shutdown(peer->fd, SHUT_RDWR); /* the library finds its end, and closes it */
    peer->deadline_ms = INT64_MAX;
    peer->is_waiting = false;
}

/* Makes room where all places but a few are taken: who waits longest for a request goes. */
static void make_room(http_server *s) {
    if (s->n_peers < s->max_peers - s->max_peers / 16) {
        return;
    }
    http_peer *oldest = NULL;
    for (http_peer *peer = s->peers; peer; peer = peer->next) {
        if (peer->is_waiting && (!oldest || peer->deadline_ms < oldest->deadline_ms)) {
            oldest = peer;
        }
    }
    if (oldest) {
        cut_off(oldest);
    }
}

static void format_address(const struct sockaddr *from, char address[INET6_ADDRSTRLEN]) {
    address[0] = '\0';
    if (from && from->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)from)->sin_addr, address,
                  INET6_ADDRSTRLEN);
    } else if (from && from->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, address,
                  INET6_ADDRSTRLEN);
    }
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    http_server *s = cls;
    http_peer *peer = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (peer) {
            *peer->prev = peer->next;
            if (peer->next) {
                peer->next->prev = peer->prev;
            }
            s->n_peers--;
            free(peer);
            *socket_context = NULL;
        }
        return;
    }
    peer = calloc(1, sizeof *peer);
    if (!peer) {
        return; /* its requests are refused */
    }
    make_room(s);
    peer->server = s;
    peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    format_address(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
        peer->address);
    peer->deadline_ms = now_ms() + s->request_ms;
    peer->is_waiting = true;
    peer->next = s->peers;
    peer->prev = &s->peers;
    if (peer->next) {
        peer->next->prev = &peer->next;
    }
    s->peers = peer;
    s->n_peers++;
    *socket_context = peer;
}

static http_peer *peer_of(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void sweep(http_server *s) {
    int64_t now = now_ms();
    if (now - s->swept_ms < SWEEP_MS) {
        return;
    }
    s->swept_ms = now;
    for (http_peer *peer = s->peers; peer; peer = peer->next) {
        if (peer->deadline_ms < now) {
            cut_off(peer);
        }
    }
}

/* ---- a request arrives ---- */

/* Its first line is there. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *connection) {
    http_server *s = cls;
    http_peer *peer = peer_of(connection);
    http_request *r = peer ? calloc(1, sizeof *r) : NULL;
    if (r && !(r->target = strdup(target))) {
        free(r);
        r = NULL;
    }
    if (peer && peer->is_waiting) {
        int64_t deadline_ms = now_ms() + s->request_ms;
        peer->deadline_ms = peer->deadline_ms < deadline_ms ? peer->deadline_ms : deadline_ms;
    }
    return r;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code) {
    http_server *s = cls;
    http_request *r = *context;
    (void)code;
    if (r) {
        if (r->response) {
            MHD_destroy_response(r->response);
        }
        free(r->target);
        free(r->body);
        free(r);
        *context = NULL;
    }
    http_peer *peer = peer_of(connection);
    if (peer && peer->deadline_ms != INT64_MAX) {
        peer->deadline_ms = now_ms() + s->idle_ms + s->request_ms;
        peer->is_waiting = true;
    }
}

/* Keeps the path and query as they were sent: Lua decodes them. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

/* Adds a piece of a body; false without memory, or where it is too large to be read even. */
static bool add_body(const http_server *s, http_request *r, const char *data, size_t n) {
    if (r->is_too_large || n > (size_t)s->body_bytes - r->n_body) {
        r->is_too_large = true;
        r->n_discarded += n;
        return r->n_discarded <= MAX_DISCARDED_BYTES;
    }
    if (n > r->body_capacity - r->n_body) {
        size_t capacity = 2 * (r->n_body + n);
        char *body = realloc(r->body, capacity);
        if (!body) {
            return false;
        }
        r->body = body;
        r->body_capacity = capacity;
    }
    memcpy(r->body + r->n_body, data, n);
    r->n_body += n;
    return true;
}

/* ---- the answer ---- */

static enum MHD_Result keep_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value) {
    http_call *c = cls;
    (void)kind;
    if (c->n_headers == MAX_HEADERS) {
        c->has_more_headers = true;
        return MHD_NO;
    }
    c->headers[c->n_headers++] = (http_header){name, value ? value : ""};
    return MHD_YES;
}

/* Pushes the table of the headers by name in lower case; those that come twice are joined. */
static void push_headers(lua_State *L, const http_call *c) {
    lua_createtable(L, 0, c->n_headers);
    for (int i = 0; i < c->n_headers; i++) {
        luaL_Buffer b;
        size_t n = strlen(c->headers[i].name);
        char *lower = luaL_buffinitsize(L, &b, n);
        for (size_t k = 0; k < n; k++) {
            char ch = c->headers[i].name[k];
            lower[k] = ch >= 'A' && ch <= 'Z' ? (char)(ch + 32) : ch;
        }
        luaL_pushresultsize(&b, n);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TSTRING) {
            lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), c->headers[i].value);
            lua_remove(L, -2); /* the former value */
        } else {
            lua_pop(L, 1);
            lua_pushstring(L, c->headers[i].value);
        }
        lua_rawset(L, -3);
    }
}

static void push_request(lua_State *L, const http_call *c) {
    lua_createtable(L, 0, 6);
    lua_pushstring(L, c->method);
    lua_setfield(L, -2, "method");
    lua_pushstring(L, c->request->target);
    lua_setfield(L, -2, "target");
    lua_pushstring(L, c->address);
    lua_setfield(L, -2, "address");
    lua_pushlstring(L, c->request->body ? c->request->body : "", c->request->n_body);
    lua_setfield(L, -2, "body");
    push_headers(L, c);
    lua_setfield(L, -2, "headers");
    if (c->request->is_too_large || c->has_more_headers) {
        lua_pushstring(L, c->request->is_too_large ? "body" : "headers");
        lua_setfield(L, -2, "too_large");
    }
}

/* Makes the response of the table on top of the stack. */
static void read_response(lua_State *L, http_request *r) {
    int table = lua_gettop(L);
    if (!lua_istable(L, table)) {
        luaL_error(L, "the handler gave a %s, expected a table", luaL_typename(L, table));
    }
    lua_getfield(L, table, "status");
    lua_Integer status = luaL_optinteger(L, -1, 200);
    if (status < 200 || status > 599) {
        luaL_error(L, "the handler gave a status that is none");
    }
    r->status = (unsigned)status;
    size_t n_body = 0;
    lua_getfield(L, table, "body");
    const char *body = luaL_optlstring(L, -1, "", &n_body);
    /* Owned by the request before anything else can raise. */
    r->response =
        MHD_create_response_from_buffer(n_body, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!r->response) {
        luaL_error(L, "not enough memory for a response");
    }
    if (lua_getfield(L, table, "headers") == LUA_TNIL) {
        return;
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING ||
            MHD_add_response_header(r->response, lua_tostring(L, -2), lua_tostring(L, -1)) !=
                MHD_YES) {
            luaL_error(L, "the handler gave a header that is none");
        }
        lua_pop(L, 1);
    }
}

/* Under lua_pcall: server, http_call. */
static int answer(lua_State *L) {
    http_call *c = lua_touserdata(L, 2);
    lua_getiuservalue(L, 1, HANDLER);
    push_request(L, c);
    lua_call(L, 1, 1);
    read_response(L, c->request);
    return 0;
}

static int add_traceback(lua_State *L) {
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* Under lua_pcall: server, message. */
static int write_log(lua_State *L) {
    if (lua_getiuservalue(L, 1, LOG) == LUA_TFUNCTION) {
        lua_pushvalue(L, 2);
        lua_call(L, 1, 0);
    }
    return 0;
}

static void ask_lua(http_server *s, http_call *c) {
    lua_State *L = s->running;
    http_request *r = c->request;
    int top = L ? lua_gettop(L) : 0;
    if (!L || !lua_checkstack(L, 8)) {
        return;
    }
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, answer);
    lua_pushvalue(L, s->self_index);
    lua_pushlightuserdata(L, c);
    if (lua_pcall(L, 2, 0, top + 1) != LUA_OK) {
        if (r->response) {
            MHD_destroy_response(r->response);
            r->response = NULL;
        }
        lua_pushcfunction(L, write_log);
        lua_pushvalue(L, s->self_index);
        lua_pushvalue(L, -3);
        lua_pcall(L, 2, 0, 0);
    }
    lua_settop(L, top);
}

static enum MHD_Result respond(http_server *s, struct MHD_Connection *connection, http_peer *peer,
                               http_request *r, const char *method) {
    http_call call = {.request = r, .method = method, .address = peer->address};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, keep_header, &call);
    peer->is_waiting = false;
    ask_lua(s, &call);
    if (!r->response) {
        r->status = 500;
        r->response = MHD_create_response_from_buffer(
            sizeof OUT_OF_ORDER - 1, (void *)(uintptr_t)OUT_OF_ORDER, MHD_RESPMEM_PERSISTENT);
        if (!r->response) {
            return MHD_NO;
        }
        MHD_add_response_header(r->response, "Content-Type", "application/json");
    }
    if (peer->deadline_ms != INT64_MAX) {
        peer->deadline_ms = now_ms() + s->answer_ms;
    }
    enum MHD_Result rc = MHD_queue_response(connection, r->status, r->response);
    MHD_destroy_response(r->response);
    r->response = NULL;
    return rc;
}

/* Whether a body that is announced need not be waited for to be refused. */
static bool refuses_at_once(const http_server *s, struct MHD_Connection *connection) {
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    const char *expect = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Expect");
    uint64_t n_bytes = length ? strtoull(length, NULL, 10) : 0;
    return n_bytes > (uint64_t)s->body_bytes && (expect || n_bytes > MAX_DISCARDED_BYTES);
}

/* Called with the headers, with every piece of the body, and at the end. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n_data, void **context) {
    http_server *s = cls;
    http_request *r = *context;
    http_peer *peer = peer_of(connection);
    (void)url;
    (void)version;
    if (!r || !peer) {
        return MHD_NO;
    }
    if (!r->has_begun) {
        r->has_begun = true;
        if (!refuses_at_once(s, connection)) {
            return MHD_YES;
        }
        r->is_too_large = true;
    } else if (*n_data > 0) {
        bool is_added = add_body(s, r, data, *n_data);
        *n_data = 0;
        return is_added ? MHD_YES : MHD_NO;
    }
    return respond(s, connection, peer, r, method);
}

/* ---- opening and closing ---- */

static http_server *check_server(lua_State *L, int index) {
    http_server *s = luaL_checkudata(L, index, SERVER_TYPE);
    if (!s->daemon) {
        luaL_error(L, "attempt to use a closed server");
    }
    if (s->running) {
        luaL_error(L, "attempt to use a server inside its own handler");
    }
    return s;
}

/* A listening socket, or -1 and *failure: what could not be done. */
static int listen_at(const char *address, const char *port, const char **failure) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    *failure = "is no numeric address";
    errno = EINVAL;
    if (getaddrinfo(address, port, &hints, &found) != 0) {
        return -1;
    }
    *failure = "cannot listen";
    int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
         bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0)) {
        int saved = errno;
        close(fd);
        errno = saved;
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static int port_of(int fd) {
    struct sockaddr_storage name = {0};
    socklen_t n = sizeof name;
    getsockname(fd, (struct sockaddr *)&name, &n);
    return ntohs(name.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)&name)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)&name)->sin_port);
}

static bool start(http_server *s, int fd, lua_Integer memory_bytes, lua_Integer per_address) {
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ITC, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->max_peers, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)memory_bytes,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((s->idle_ms + 999) / 1000),
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
    s->is_listening = s->daemon != NULL;
    return s->daemon != NULL;
}

static lua_Integer integer_option(lua_State *L, const char *name, lua_Integer unless_told,
                                  lua_Integer lo, lua_Integer hi) {
    lua_getfield(L, 1, name);
    int is_integer = 1;
    lua_Integer value = lua_isnil(L, -1) ? unless_told : lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || value < lo || value > hi) {
        luaL_error(L, "'%s' is no whole number from %I to %I", name, lo, hi);
    }
    lua_pop(L, 1);
    return value;
}

static int f_listen(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_Integer port = integer_option(L, "port", 0, 0, 65535);
    lua_Integer memory_bytes = integer_option(L, "memory_bytes", 16384, 2048, 1 << 24);
    lua_Integer per_address = integer_option(L, "per_address", 0, 0, 1 << 20);
    lua_getfield(L, 1, "address");
    const char *address = luaL_optstring(L, 2, "127.0.0.1");
    lua_getfield(L, 1, "handler");
    luaL_checktype(L, 3, LUA_TFUNCTION);
    if (lua_getfield(L, 1, "log") != LUA_TNIL) {
        luaL_checktype(L, 4, LUA_TFUNCTION);
    }
    http_server *s = lua_newuserdatauv(L, sizeof *s, N_VALUES);
    *s = (http_server){.max_peers = integer_option(L, "connections", 768, 1, 1 << 20),
                       .body_bytes = integer_option(L, "body_bytes", 65536, 0, 1 << 30),
                       .request_ms = integer_option(L, "request_ms", 10000, 1, 3600000),
                       .idle_ms = integer_option(L, "idle_ms", 15000, 1, 3600000),
                       .answer_ms = integer_option(L, "answer_ms", 60000, 1, 3600000)};
    luaL_setmetatable(L, SERVER_TYPE);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, -2, HANDLER);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, LOG);

    const char *failure, *port_text = lua_pushfstring(L, "%I", port);
    int fd = listen_at(address, port_text, &failure);
    if (fd < 0) {
        return eg_lua_system_failure(L, errno, "%s port %s: %s", address, port_text, failure);
    }
    s->port = port_of(fd);
    if (!start(s, fd, memory_bytes, per_address)) {
        int saved = errno;
        close(fd);
        return eg_lua_system_failure(L, saved ? saved : ENOMEM, "%s port %s: cannot start", address,
                                     port_text);
    }
    lua_pop(L, 1); /* port_text */
    return 1;
}

/* After it the library gives the socket back. */
static void stop_listening(http_server *s) {
    if (s->is_listening) {
        s->is_listening = false;
        MHD_socket fd = MHD_quiesce_daemon(s->daemon);
        if (fd != MHD_INVALID_SOCKET) {
            close(fd);
        }
    }
}

static void close_server(http_server *s) {
    if (s->daemon) {
        stop_listening(s);
        MHD_stop_daemon(s->daemon);
        s->daemon = NULL;
    }
}

/* ---- methods ---- */

static int m_run(lua_State *L) {
    http_server *s = check_server(L, 1);
    lua_Integer timeout_ms = luaL_optinteger(L, 2, 1000);
    int other_fd = (int)luaL_optinteger(L, 3, -1);
    luaL_argcheck(L, timeout_ms >= 0 && timeout_ms <= 3600000, 2, "milliseconds expected");
    MHD_UNSIGNED_LONG_LONG library_ms = 0;
    if (MHD_get_timeout(s->daemon, &library_ms) == MHD_YES &&
        library_ms < (MHD_UNSIGNED_LONG_LONG)timeout_ms) {
        timeout_ms = (lua_Integer)library_ms;
    }
    if (s->peers && timeout_ms > SWEEP_MS) {
        timeout_ms = SWEEP_MS;
    }
    struct pollfd fds[2] = {
        {.fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
         .events = POLLIN},
        {.fd = other_fd, .events = POLLIN},
    };
    poll(fds, 2, (int)timeout_ms);
    s->self_index = 1;
    s->running = L;
    MHD_run(s->daemon);
    sweep(s);
    s->running = NULL;
    return 0;
}

static int m_port(lua_State *L) {
    lua_pushinteger(L, check_server(L, 1)->port);
    return 1;
}

static int m_connections(lua_State *L) {
    const http_server *s = luaL_checkudata(L, 1, SERVER_TYPE);
    lua_Integer n_busy = 0;
    for (const http_peer *peer = s->peers; peer; peer = peer->next) {
        n_busy += !peer->is_waiting;
    }
    lua_pushinteger(L, s->n_peers);
    lua_pushinteger(L, n_busy);
    return 2;
}

static int m_stop_listening(lua_State *L) {
    stop_listening(check_server(L, 1));
    return 0;
}

static int m_close(lua_State *L) {
    http_server *s = luaL_checkudata(L, 1, SERVER_TYPE);
    if (s->daemon) {
        close_server(check_server(L, 1));
    }
    return 0;
}

static int m__gc(lua_State *L) {
    close_server(luaL_checkudata(L, 1, SERVER_TYPE));
    return 0;
}

static int m__tostring(lua_State *L) {
    const http_server *s = luaL_checkudata(L, 1, SERVER_TYPE);
    if (s->daemon) {
        lua_pushfstring(L, "http server (port %d)", s->port);
    } else {
        lua_pushliteral(L, "http server (closed)");
    }
    return 1;
}

static int f_now_us(lua_State *L) {
    lua_pushinteger(L, now_us());
    return 1;
}

int luaopen_http(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"run", m_run},
        {"port", m_port},
        {"connections", m_connections},
        {"stop_listening", m_stop_listening},
        {"close", m_close},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", m__gc},
        {"__close", m_close},
        {"__tostring", m__tostring},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"listen", f_listen},
        {"now_us", f_now_us},
        {NULL, NULL},
    };
    eg_lua_make_type(L, SERVER_TYPE, meta, methods);
    luaL_newlib(L, functions);
    return 1;
}
