//! What customers do: 8 to 14 spans over several services each time.

use super::Fate;
use super::builder::{Builder, Code, Index, Route};
use super::{SLOW_MS, Service};
use opentelemetry_proto::tonic::common::v1::any_value::Value;

const BROWSE: Route = Route { to: Service::Frontend, method: "GET", path: "/product" };
const ADD: Route = Route { to: Service::Frontend, method: "POST", path: "/cart" };
const BUY: Route = Route { to: Service::Frontend, method: "POST", path: "/checkout" };
const ORDER: Route = Route { to: Service::Checkout, method: "POST", path: "/orders" };
const READ_CART: Route = Route { to: Service::Cart, method: "GET", path: "/items" };
const FILL_CART: Route = Route { to: Service::Cart, method: "POST", path: "/items" };
const STOCK: Route = Route { to: Service::Inventory, method: "GET", path: "/stock" };
const CHARGE: Route = Route { to: Service::Payment, method: "POST", path: "/charges" };
const SHIP: Route = Route { to: Service::Shipping, method: "POST", path: "/parcels" };
const SUGGEST: Route = Route { to: Service::Recommendation, method: "GET", path: "/similar" };

const REDIS: [(&str, &str); 3] =
    [("db.system", "redis"), ("db.statement", "HGETALL ?"), ("server.address", "redis.shop")];
const POSTGRES: [(&str, &str); 5] = [
    ("db.system", "postgresql"),
    ("db.name", "stock"),
    ("db.user", "inventory"),
    ("db.statement", "SELECT on_hand FROM stock WHERE sku = $1"),
    ("net.peer.name", "postgres.shop"),
];
const BANK: [(&str, &str); 3] = [
    ("http.request.method", "POST"),
    ("url.full", "https://api.bank.example/v1/charges"),
    ("server.address", "api.bank.example"),
];

/// Tells a story that ends as `fate` says.
pub(super) fn tell(b: &mut Builder<'_>, fate: Fate) {
    // Only who pays can pay twice.
    let roll = if fate == Fate::Retry { 99 } else { b.random.below(100) };
    match roll {
        0..55 => browse(b, fate),
        55..80 => add_to_cart(b, fate),
        _ => check_out(b, fate),
    };
}

fn browse(b: &mut Builder<'_>, fate: Fate) -> Code {
    b.request(BROWSE, |b, root| {
        customer(b, root);
        // Suggestions are nice to have: the page does not wait for good ones.
        b.call(root, SUGGEST, |b, server| {
            b.outside(server, "HGETALL", (1, 4), &REDIS);
            200
        });
        let code = b.call(root, STOCK, |b, server| stock(b, server, fate));
        b.call(root, READ_CART, |b, server| {
            b.outside(server, "HGETALL", (1, 4), &REDIS);
            200
        });
        code
    })
}

fn add_to_cart(b: &mut Builder<'_>, fate: Fate) -> Code {
    b.request(ADD, |b, root| {
        customer(b, root);
        let code = b.call(root, FILL_CART, |b, server| {
            b.outside(server, "HSET", (1, 4), &REDIS);
            b.call(server, STOCK, |b, server| stock(b, server, fate))
        });
        b.call(root, SUGGEST, |b, _| {
            b.work(2, 8);
            200
        });
        code
    })
}

fn check_out(b: &mut Builder<'_>, fate: Fate) -> Code {
    b.request(BUY, |b, root| {
        customer(b, root);
        let total = b.random.between(5, 400) as i64;
        b.set(root, "app.order.total", Value::IntValue(total));
        b.call(root, ORDER, |b, order| {
            b.set(order, "app.order.total", Value::IntValue(total));
            b.call(order, READ_CART, |b, _| {
                b.work(1, 5);
                200
            });
            if fate == Fate::Retry {
                b.call(order, CHARGE, |b, server| refuse(b, server));
                b.work(10, 30);
            }
            let code = b.call(order, CHARGE, |b, server| charge(b, server, fate));
            if code == 200 {
                b.call(order, SHIP, |b, _| {
                    b.work(3, 12);
                    200
                });
            }
            code
        })
    })
}

fn stock(b: &mut Builder<'_>, server: Index, fate: Fate) -> Code {
    match fate {
        Fate::Slow => {
            b.outside(server, "SELECT stock", (SLOW_MS + 100, SLOW_MS * 5 / 2), &POSTGRES);
            200
        }
        Fate::Error => {
            let query = b.outside(server, "SELECT stock", (5, 20), &POSTGRES);
            b.fail(query, "connection reset by peer".into());
            b.throw(server, "DatabaseError", "connection reset by peer");
            500
        }
        Fate::Plain | Fate::Retry => {
            b.outside(server, "SELECT stock", (2, 15), &POSTGRES);
            200
        }
    }
}

fn charge(b: &mut Builder<'_>, server: Index, fate: Fate) -> Code {
    let took = if fate == Fate::Slow { (SLOW_MS + 100, SLOW_MS * 5 / 2) } else { (20, 90) };
    let bank = b.outside(server, "POST", took, &BANK);
    let code = if fate == Fate::Error { 502 } else { 200 };
    b.set(bank, "http.response.status_code", Value::IntValue(code));
    if fate == Fate::Error {
        b.fail(bank, "the bank answered 502".into());
        b.throw(server, "PaymentError", "the bank answered 502");
    }
    code
}

/// The payment service is too busy to try.
fn refuse(b: &mut Builder<'_>, server: Index) -> Code {
    b.work(1, 3);
    b.throw(server, "Overloaded", "no worker is free");
    503
}

fn customer(b: &mut Builder<'_>, root: Index) {
    let tier = b.random.pick(&["standard", "standard", "standard", "silver", "gold"]);
    let id = format!("customer-{}", b.random.below(500));
    b.set(root, "app.customer.tier", Value::StringValue(tier.into()));
    b.set(root, "enduser.id", Value::StringValue(id));
}
