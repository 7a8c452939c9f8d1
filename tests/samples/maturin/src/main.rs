fn main() {
    println!("hello from maturin");
}
